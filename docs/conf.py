"""How Sphinx builds this site: `make docs`."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "Tribunal"
version = release = installed_version("tribunal")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "help_output",
    "plain_docstrings",
]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
# A single backtick in a docstring is code.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
# Types of the standard library and of packages are not documented here.
nitpick_ignore_regex = [("py:.*", r"(?!tribunal).*")]
exclude_patterns = ["_extensions"]

html_theme = "furo"
html_title = f"Tribunal {version}"
html_show_copyright = False
# No page loads anything from another host.
html_theme_options = {"footer_icons": []}
copybutton_exclude = ".linenos, .gp, .go"
