"""Executed notebooks as HTML pages that need no network: pictures inside, equations in MathML."""

import html
from collections.abc import Collection
from pathlib import Path
from typing import Any

from jinja2 import pass_context
from latex2mathml import converter
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from ialelib.strict import project

STYLE = Path(__file__).with_name("pages.css")


def page(title: str, body: str) -> str:
    """A whole HTML document around a body; `title` is plain text."""
    style = STYLE.read_text() + HtmlFormatter().get_style_defs(".highlight")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def notebook(node: NotebookNode, pages: Collection[str]) -> str:
    """The body of an executed notebook; `pages` are the stems that links may lead to."""
    body, _ = _Exporter(pages).from_notebook_node(node)
    return body


def markdown(source: str, pages: Collection[str] = ()) -> str:
    """A piece of a notebook's Markdown as HTML."""
    return MarkdownWithMath(_Renderer(pages)).render(source)


def mathml(tex: str, display: str = "inline") -> str:
    r"""An equation as MathML, which browsers draw by themselves; TeX that is not understood stays.

    >>> mathml("n").startswith("<math") and mathml("n").endswith("<mi>n</mi></mrow></math>")
    True
    """
    try:
        return converter.convert(tex, display=display)
    except Exception:  # the converter has no common base for its errors
        return f"<code>{html.escape(tex)}</code>"


class _Renderer(IPythonRenderer):
    """Markdown as a page of the gallery has it."""

    def __init__(self, pages: Collection[str]) -> None:
        super().__init__(
            escape=False, embed_images=True, exclude_anchor_links=True, path=str(project())
        )
        self.pages = pages

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return mathml(body, "block")

    def image(self, text: str, url: str, title: str | None = None) -> str:
        # Notebooks lie one folder below the project; nbconvert embeds only what is below `path`.
        url = url.removeprefix("../")
        if not url.startswith("attachment:") and not (project() / url).is_file():
            return f"<em>{text} (no picture {html.escape(url)} yet)</em>"
        return super().image(text, url, title)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        stem = url.removesuffix(".ipynb")
        if url == "00_index.ipynb":
            url = "index.html"
        elif stem in self.pages:
            url = f"{stem}.html"
        elif not url.startswith(("#", "http:", "https:", "mailto:")):
            url = f"../../../notebooks/{url}"
        return super().link(text, url, title)


class _Exporter(HTMLExporter):
    """nbconvert's plainest template: no scripts, no style sheets, no fonts from elsewhere."""

    def __init__(self, pages: Collection[str]) -> None:
        super().__init__(template_name="basic")
        self.pages = pages

    @pass_context
    def markdown2html(self, context: Any, source: str) -> str:
        return markdown(source, self.pages)
