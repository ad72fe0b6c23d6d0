"""The site's configuration. `make docs` builds it into build/site.

The pages are Markdown that reads well on its own. What is made from the sources stands in docs/_ext:
the commands from `corewise manual`, Python from docstrings, C and C++ from the headers' comments.
"""

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))
# Building a site is no program to be watched.
os.environ |= {"COREWISE_CONTROL": "off", "COREWISE_POSTMORTEM": "off"}

project = "corewise"
version = release = (HERE.parent / "VERSION").read_text().strip()

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "breathe",
    "commands",
    "docstrings",
    "headers",
    "page_names",
]
exclude_patterns = ["_ext", "man"]
# Pages of the toctree that colleagues may not have written yet.
suppress_warnings = ["toc.empty_glob"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

default_role = "py:obj"
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 60
c_maximum_signature_line_length = 60
cpp_maximum_signature_line_length = 60

html_theme = "furo"
html_title = "corewise"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
