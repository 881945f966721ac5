"""The executed notebooks of a profile as a small web site that opens without server or network.

`python -m ialelib.runner.gallery PROFILE` writes them to runs/PROFILE/gallery.
"""

import base64
import csv
import html
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any

from ialelib.utils.errors import InputError
from ialelib.utils.extras import extra
from ialelib.utils.files import atomic, project

with extra("batch"):
    import bleach
    import nbformat
    from bs4 import BeautifulSoup
    from latex2mathml import converter
    from nbconvert.exporters import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from nbformat import NotebookNode
    from pygments.formatters import HtmlFormatter

STYLE = Path(__file__).with_name("gallery.css")
# Notebooks may be anybody's: a page runs no script and loads nothing, whatever `clean` let pass.
POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'"
TAGS = (
    "h1 h2 h3 h4 h5 h6 p br hr div span pre img del sub sup dl dt dd details summary kbd "
    "table caption thead tbody tfoot tr th td math mrow mi mo mn mtext mspace mstyle mpadded "
    "msub msup msubsup munder mover munderover mfrac msqrt mroot mtable mtr mtd"
)
ATTRIBUTES = (
    "class id href title src alt width height colspan rowspan start display mathvariant stretchy "
    "fence form separator lspace rspace linethickness columnalign accent open download"
)


class _Renderer(IPythonRenderer):
    """Markdown as a page of the gallery has it; `pages` are the stems that links may lead to."""

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


def mathml(tex: str, display: str = "inline") -> str:
    r"""An equation as MathML, which browsers draw by themselves; TeX that is not understood stays.

    >>> mathml("n").startswith("<math") and mathml("n").endswith("<mi>n</mi></mrow></math>")
    True
    """
    try:
        return converter.convert(tex, display=display)
    except Exception:  # the converter has no common base for its errors
        return f"<code>{html.escape(tex)}</code>"


def markdown(source: str, pages: Collection[str] = ()) -> str:
    """A piece of a notebook's Markdown as HTML."""
    return MarkdownWithMath(_Renderer(pages)).render(source)


def notebook_body(node: NotebookNode, pages: Collection[str]) -> str:
    """The body of an executed notebook; `pages` are the stems that links may lead to."""
    filters = {"markdown2html": lambda source: markdown(source, pages)}
    # nbconvert's plainest template: no scripts, no style sheets, no fonts from elsewhere.
    body, _ = HTMLExporter(template_name="basic", filters=filters).from_notebook_node(node)
    return body


def clean(body: str) -> str:
    """A body without scripts, styles, forms, frames and other tags that are no plain text."""
    soup = BeautifulSoup(body, "html.parser")
    for element in soup(["script", "style", "template", "iframe", "object", "svg"]):
        element.decompose()  # with what is in it; of other tags bleach leaves the text
    protocols = {"http", "https", "mailto", "data"}
    tags = {*bleach.ALLOWED_TAGS, *TAGS.split()}
    return bleach.clean(str(soup), tags, _passes, protocols, strip=True)


def _passes(tag: str, name: str, value: str) -> bool:
    """Whether a tag may have an attribute; pictures must lie in the page itself."""
    return name in ATTRIBUTES.split() and (name != "src" or value.startswith("data:image/"))


def page(title: str, body: str) -> str:
    """A whole HTML document around a body, which is cleaned; `title` is plain text."""
    style = STYLE.read_text() + HtmlFormatter().get_style_defs(".highlight")
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{style}</style>\n</head>\n"
        f"<body>\n{clean(body)}\n</body>\n</html>\n"
    )


def write(profile: str) -> Path:
    """Write the gallery of all that has been executed in a profile; returns its index page.

    Raises:
        InputError: nothing has been executed yet.
    """
    folder = project() / "runs" / profile
    index = folder / "gallery" / "index.html"
    runs = _runs(folder)
    if not runs:
        raise InputError(f"no executed notebooks in {folder}; `make figures PROFILE={profile}`")
    cards = ""
    for stem, notebook in runs.items():
        title, status = _title(stem, notebook), _status(folder, stem, notebook)
        head = f'<p class="note"><a href="index.html">all notebooks</a> | {status}</p>\n'
        _save(index.with_stem(stem), page(title, head + notebook_body(notebook, runs)))
        cards += _card(stem, notebook, title, status)
    heading = f"ialelib: executed notebooks of the {profile} profile"
    intro = f"<h1>{html.escape(heading)}</h1>\n<p>Run times are wall clock, as measured.</p>\n"
    _save(index, page(heading, intro + cards))
    return index


def _save(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text)


def _runs(folder: Path) -> dict[str, NotebookNode]:
    """Finished notebooks, and of those that have no result the ones that failed."""
    paths = {path.stem: path for path in folder.glob("logs/[!.]*.ipynb")}
    paths |= {path.stem: path for path in folder.glob("[!.]*.ipynb")}
    runs = {}
    for stem, path in sorted(paths.items()):
        # Not a notebook yet where a run is just writing it, or was killed meanwhile.
        with suppress(nbformat.reader.NotJSONError):
            notebook = nbformat.read(path, as_version=4)
            if path.parent == folder or _failed(notebook):
                runs[stem] = notebook
    return runs


def _failed(notebook: NotebookNode) -> bool:
    return bool(_papermill(notebook).get("exception"))


def _papermill(notebook: NotebookNode) -> dict[str, Any]:
    """What papermill has noted of the run; notebooks that others executed have nothing."""
    noted: dict[str, Any] = notebook.metadata.get("papermill", {})
    return noted


def _opening(notebook: NotebookNode) -> str:
    """The first cell's source."""
    return str(notebook.cells[0].source) if notebook.cells else ""


def _title(stem: str, notebook: NotebookNode) -> str:
    """The heading, with the variant's name."""
    heading = _opening(notebook).partition("\n")[0].lstrip("# ") or stem
    variant = stem.partition("-")[2]
    return f"{heading} [{variant}]" if variant else heading


def _card(stem: str, notebook: NotebookNode, title: str, status: str) -> str:
    """What the index shows of a run: picture, title, the question it asks, and its cost."""
    link = f'<a href="{html.escape(stem)}.html">'
    asked = r"\*\*Question\.\*\*\s*(.+?)(?:\n\n|$)"
    question = re.search(asked, _opening(notebook), re.DOTALL)
    picture = _picture(notebook)
    source = f"data:image/png;base64,{html.escape(picture or '')}"
    shown = f'{link}<img alt="its main figure" src="{source}"></a>' if picture else ""
    return (
        f'<div class="run"><div>{shown}</div><div>\n<h2>{link}{html.escape(title)}</a></h2>\n'
        f'{markdown(question[1] if question else "")}<p class="note">{status}</p>\n</div></div>\n'
    )


def _picture(notebook: NotebookNode) -> str | None:
    """The PNG that the opening shows, as this run drew it, else the first one drawn; in base64."""
    named = re.search(r"!\[[^]]*\]\([^)]*?([^/)]+\.png)\)", _opening(notebook))
    figures = _papermill(notebook).get("parameters", {}).get("figures")
    if named and figures and (path := project() / figures / named[1]).is_file():
        return base64.b64encode(path.read_bytes()).decode()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    drawn = (output.get("data", {}).get("image/png") for output in outputs)
    return next(filter(None, drawn), None)


def _status(folder: Path, stem: str, notebook: NotebookNode) -> str:
    """How long a run took, on which machine, with how much memory, as far as it was measured."""
    seconds, memory = _papermill(notebook).get("duration"), None
    measured = folder / "benchmarks" / f"{stem}.tsv"
    if measured.is_file() and not _failed(notebook):
        (row,) = csv.DictReader(measured.read_text().splitlines(), delimiter="\t")
        seconds, memory = float(row["s"]), row["max_rss"]
    parts = [_time(seconds) if seconds else "", notebook.metadata.get("machine", "")]
    parts += [f"at most {float(memory):.0f} MB"] if memory not in (None, "NA", "-") else []
    failed = '<span class="failed">failed</span> after ' if _failed(notebook) else ""
    return f"{html.escape(stem)}: {failed}{html.escape(', '.join(filter(None, parts)))}"


def _time(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"


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
