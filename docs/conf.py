"""Settings of the documentation site: `make docs` builds it into site/, without a network."""

import dataclasses
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import reference_pages
from sphinx.application import Sphinx

import xpronet

project = "XProNet"
author = "The authors of XProNet"
version = release = xpronet.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown", ".ipynb": "markdown"}
exclude_patterns = ["*.py"]
nitpicky = False

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
smartquotes = False
toc_object_entries_show_parents = "hide"
default_role = "code"  # docstrings write code in single backticks
napoleon_google_docstring = True
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "XProNet"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options = {"light_css_variables": {"font-stack": "system-ui, sans-serif"}}
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False
highlight_language = "none"  # indented blocks are shell commands, tables of files and figures


def fill(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn a notebook into Markdown, and put what is made from the code into the pages that ask for it."""
    if str(app.env.doc2path(name)).endswith(".ipynb"):
        source[0] = reference_pages.notebook(source[0])
    for made, make in reference_pages.MADE.items():
        mark = f"<!-- made: {made} -->"
        if mark in source[0]:
            source[0] = source[0].replace(mark, make())


def keep_first_line(app: Sphinx, what: str, name: str, item: Any, options: Any, lines: list[str]) -> None:
    """Keep napoleon from taking what stands before a colon in a field's line for its type."""
    if what in {"attribute", "property"}:
        lines[:0] = ["..", ""]  # an empty comment


def hide_fields(
    app: Sphinx, what: str, name: str, item: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Leave the fields of a dataclass out of its heading: they follow, each with its line."""
    return ("" if dataclasses.is_dataclass(item) else signature), returned


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    app.connect("autodoc-process-docstring", keep_first_line, priority=100)  # before napoleon
    app.connect("autodoc-process-signature", hide_fields)
