"""How ./scripts/docs makes a site of these pages."""

from __future__ import annotations

import sys
from pathlib import Path

from atomhttp import __version__

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "atomhttp"
author = "the atomhttp developers"
project_copyright = f"{author}, MIT license"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "pages", "reference"]
root_doc = "index"
# README.md stands in index.md.
exclude_patterns = ["README.md", "_*"]
repository = HERE.parent

# Anchors as the hosting site makes them, so that a link holds in both places.
myst_heading_anchors = 4

smartquotes = False  # what is quoted may be typed

# The reference.
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
add_module_names = False
# A longer signature has a parameter a line: it fits on a phone.
maximum_signature_line_length = 60
python_display_short_literal_types = True

# The site. It works from the file system too, and asks nobody else for anything.
html_theme = "furo"
html_title = f"atomhttp {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_show_search_summary = False  # it would have to fetch pages, which browsers refuse under file://
html_theme_options = {"top_of_page_buttons": []}
pygments_style = "friendly"
pygments_dark_style = "monokai"
