"""The site: the notebooks as they are committed, the pages beside this file, and the rooms' docstrings.

Nothing is fetched, neither by the build nor by the pages, so they can be opened from a disk.
"""

import sys
from pathlib import Path

from docutils.nodes import SkipNode
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import site_check  # noqa: E402
import site_parts  # noqa: E402

project = "hsichem"
author = "the hsichem developers"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
exclude_patterns = []
default_role = "code"

nb_execution_mode = "off"
nb_merge_streams = True
nb_mime_priority_overrides = [("html", "application/vnd.jupyter.widget-view+json", None)]  # its state is not saved
myst_enable_extensions = ["attrs_block", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"

html_theme = "pydata_sphinx_theme"
html_title = "hsichem"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # it would fetch the pages, which a browser forbids on a disk
html_context = {"default_mode": "auto"}  # light or dark as the reader has it
html_sidebars = {page: [] for page in ("index", "explorer", "glossary", "search", "genindex", "py-modindex")}
html_theme_options = {"show_prev_next": True, "navigation_with_keys": False, "show_toc_level": 2}


def setup(app):
    app.add_html_math_renderer("mathml", inline_renderers=(_inline_math, None), block_renderers=(_block_math, None))
    app.connect("builder-inited", _before)
    app.connect("source-read", _lessons_are_here)
    app.connect("autodoc-process-docstring", site_parts.as_rst)
    app.connect("build-finished", _after)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _before(app):
    site_parts.write_lessons(HERE.parent / "notebooks", HERE / "lessons")
    site_parts.write_api(HERE / "api")


def _lessons_are_here(app, docname, source):
    source[0] = source[0].replace("](../notebooks/", "](lessons/")


def _after(app, failure):
    if failure is None:
        site_parts.write_explorer(Path(app.outdir) / "_static" / "explorer.html")
        for fault in site_check.faults(Path(app.outdir)):
            logging.getLogger(__name__).warning(fault)


# MathJax would have to be fetched; browsers draw MathML themselves


def _inline_math(writer, node):
    writer.body.append(tex2mathml(node.astext()))
    raise SkipNode


def _block_math(writer, node):
    writer.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise SkipNode
