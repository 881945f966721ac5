"""The executed notebooks of a profile as a small web site that opens without server or network.

`python -m ialelib.runner.gallery PROFILE` writes them to runs/PROFILE/gallery.
"""

import base64
import html
import re
import sys
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import pass_context
from latex2mathml import converter
from nbconvert.exporters import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode
from pygments.formatters import HtmlFormatter

from ialelib.utils.errors import InputError
from ialelib.utils.files import atomic, project

STYLE = Path(__file__).with_name("gallery.css")


def page(title: str, body: str) -> str:
    """A whole HTML document around a body; `title` is plain text."""
    style = STYLE.read_text() + HtmlFormatter().get_style_defs(".highlight")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def notebook_body(node: NotebookNode, pages: Collection[str]) -> str:
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


@dataclass(frozen=True)
class Run:
    """One executed notebook, NOTEBOOK or NOTEBOOK-VARIANT."""

    stem: str
    notebook: NotebookNode

    @property
    def failed(self) -> bool:
        """Whether a cell raised an error."""
        return bool(self.notebook.metadata.papermill.exception)

    @property
    def opening(self) -> str:
        """The first cell: title, question, and the picture that answers it."""
        return str(self.notebook.cells[0].source)

    @property
    def title(self) -> str:
        """The heading, with the variant's name."""
        heading = self.opening.splitlines()[0].lstrip("# ")
        variant = self.stem.partition("-")[2]
        return f"{heading} [{variant}]" if variant else heading

    @property
    def question(self) -> str:
        """The paragraph that begins with "Question.", as Markdown."""
        found = re.search(r"\*\*Question\.\*\*\s*(.+?)(?:\n\n|$)", self.opening, re.DOTALL)
        return found[1] if found else ""

    @property
    def cost(self) -> str:
        """How long it took, on which machine, with how much memory, as far as it was measured."""
        metadata = self.notebook.metadata
        used = metadata.get("usage", {})
        parts = [_time(metadata.papermill.duration), used.get("machine", "")]
        parts += [f"at most {used['peak_mb']} MB"] if "peak_mb" in used else []
        return ", ".join(part for part in parts if part)

    def picture(self) -> bytes | None:
        """The PNG that the opening shows, as this run drew it; else the first one drawn."""
        named = re.search(r"!\[[^]]*\]\([^)]*?([^/)]+\.png)\)", self.opening)
        folder = self.notebook.metadata.papermill.parameters.get("figures")
        if named and folder and (path := project() / folder / named[1]).is_file():
            return path.read_bytes()
        outputs = [out for cell in self.notebook.cells for out in cell.get("outputs", [])]
        drawn = [out.data["image/png"] for out in outputs if "image/png" in out.get("data", {})]
        return base64.b64decode(drawn[0]) if drawn else None


def write(profile: str) -> Path:
    """Write the gallery of all that has been executed in a profile; returns its index page.

    Raises:
        InputError: nothing has been executed yet.
    """
    folder = project() / "runs" / profile
    runs = _runs(folder)
    if not runs:
        raise InputError(f"no executed notebooks in {folder}; `make figures PROFILE={profile}`")
    stems = [run.stem for run in runs]
    for run in runs:
        head = f'<p class="note"><a href="index.html">all notebooks</a> | {_status(run)}</p>'
        body = notebook_body(run.notebook, stems)
        _save(folder / "gallery" / f"{run.stem}.html", page(run.title, f"{head}\n{body}"))
    cards = "\n".join(_card(run) for run in runs)
    intro = (
        f"<h1>ialelib: executed notebooks of the {html.escape(profile)} profile</h1>\n"
        "<p>Run times are wall clock, as measured in this batch.</p>"
    )
    index = folder / "gallery" / "index.html"
    _save(index, page(f"ialelib, {profile}", f"{intro}\n{cards}"))
    return index


def _runs(folder: Path) -> list[Run]:
    """Finished notebooks, and of those that have no result the ones that failed."""
    paths = {path.stem: path for path in folder.glob("logs/*.ipynb")}
    paths |= {path.stem: path for path in folder.glob("*.ipynb")}
    read = {stem: _read(paths[stem]) for stem in sorted(paths)}
    runs = [Run(stem, notebook) for stem, notebook in read.items() if notebook]
    return [run for run in runs if run.failed or paths[run.stem].parent == folder]


def _read(path: Path) -> NotebookNode | None:
    """An executed notebook, or none where a run is just writing it, or was killed meanwhile."""
    try:
        return nbformat.read(path, as_version=4)
    except nbformat.reader.NotJSONError:
        return None


def _card(run: Run) -> str:
    picture, link = run.picture(), f"{html.escape(run.stem)}.html"
    shown = ""
    if picture:
        data = base64.b64encode(picture).decode()
        shown = (
            f'<a href="{link}"><img alt="its main figure" src="data:image/png;base64,{data}"></a>'
        )
    return (
        f'<div class="run"><div>{shown}</div><div>\n'
        f'<h2><a href="{link}">{html.escape(run.title)}</a></h2>\n'
        f'{markdown(run.question)}<p class="note">{_status(run)}</p>\n</div></div>'
    )


def _status(run: Run) -> str:
    failed = '<span class="failed">failed</span> after ' if run.failed else ""
    return f"{html.escape(run.stem)}: {failed}{html.escape(run.cost)}"


def _time(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


def _save(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text)


def main(arguments: list[str]) -> int:
    """Write the gallery of one profile and say where it is; 2 if there is nothing to show."""
    (profile,) = arguments
    try:
        print(f"Gallery: {write(profile)}")
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
