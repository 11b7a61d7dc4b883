import re
import warnings

import invopt

project = "invopt"
author = "The invopt developers"
copyright = f"2026, {author}"
release = version = invopt.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "alabaster"
html_theme_options = {"description": "Optimization through renderers and other black boxes"}

suppress_warnings = [
    "ref.footnote",  # a section of references may list what the text does not cite by number
    "ref.python",  # the letters of a shape, as in (n,), are taken for the names of attributes
    "sphinx_gallery.space_in_filename",  # said of a space anywhere in the checkout's own path
]

autosummary_generate = True
autosummary_ignore_module_all = False
autodoc_typehints = "none"  # the docstrings give types with their shapes
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "inherited-members": False, "show-inheritance": True}
napoleon_google_docstring = False
napoleon_use_ivar = True  # an attribute in a docstring is a line there, not an object beside the property it names

sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": "plot_",
    "image_scrapers": ("matplotlib",),
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "plot_gallery": True,
}

# Figures are saved, not shown.
warnings.filterwarnings("ignore", message=".*is non-interactive, and thus cannot be shown")


def strip_citations(app, what, name, obj, options, lines):  # noqa: D103
    # A summary line also stands alone in the tables of the reference, where its citation has no target.
    end = lines.index("") if "" in lines else len(lines)
    lines[:end] = [re.sub(r"\s*\[\d+\]_", "", line) for line in lines[:end]]


def setup(app):  # noqa: D103
    app.connect("autodoc-process-docstring", strip_citations)
