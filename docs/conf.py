"""The site's configuration. `make docs` builds it into build/site.

The pages are Markdown that reads well on its own. docs/_ext makes the rest from the sources: the
commands from `corewise manual`, Python from docstrings, C and C++ from the headers' comments.
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
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence", "deflist"]

default_role = "py:obj"
# Options and code in prose stay what one types.
smartquotes = False
autodoc_member_order = "bysource"
python_maximum_signature_line_length = 60
c_maximum_signature_line_length = 60
cpp_maximum_signature_line_length = 60

html_theme = "furo"
html_title = "corewise"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_copyright = False
