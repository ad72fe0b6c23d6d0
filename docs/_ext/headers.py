"""Doxygen reads the headers, Breathe shows what it read.

Whatever is public and has no comment is a warning, and so an error of `make docs`.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.util import logging

_INCLUDE = Path(__file__).parents[2] / "include"
_SETTINGS = """
INPUT = {header}
OUTPUT_DIRECTORY = {folder}
GENERATE_XML = YES
GENERATE_HTML = NO
GENERATE_LATEX = NO
QUIET = YES
JAVADOC_AUTOBRIEF = NO
AUTOLINK_SUPPORT = NO
ENABLE_PREPROCESSING = YES
MACRO_EXPANSION = YES
EXPAND_ONLY_PREDEF = YES
PREDEFINED = CW_API=
EXCLUDE_SYMBOLS = CW_API
"""


def _read(app: Sphinx, config: Config) -> None:
    logger = logging.getLogger(__name__)
    for project, header in (("c", "corewise.h"), ("cpp", "corewise.hpp")):
        folder = Path(app.outdir).parent / "doxygen" / project
        folder.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS.format(header=_INCLUDE / header, folder=folder)
        done = subprocess.run(
            ["doxygen", "-"], input=settings, capture_output=True, text=True, check=True
        )
        for line in done.stderr.splitlines():
            logger.warning("doxygen: %s", line)
        config.breathe_projects[project] = str(folder / "xml")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("config-inited", _read, priority=100)
    app.config.breathe_domain_by_extension = {"h": "c", "hpp": "cpp"}
    return {"parallel_read_safe": True}
