"""The executed notebooks of a profile as a small web site that opens without server or network.

`python -m ialelib.runner.gallery PROFILE` writes them to runs/PROFILE/gallery.
"""

import base64
import csv
import glob
import html
import os
import posixpath
import re
import sys
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ialelib.runner import executed
from ialelib.utils.errors import InputError
from ialelib.utils.extras import extra
from ialelib.utils.files import atomic, project

with extra("batch"):
    import bleach
    from bs4 import BeautifulSoup
    from latex2mathml import converter
    from nbconvert.exporters import HTMLExporter
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
    from nbformat import NotebookNode
    from pygments.formatters import HtmlFormatter

INDEX = "00_index"
INTRO = (
    f'<p><a href="{INDEX}.ipynb">The index</a> lists all notebooks, also those that were not run. '
    "Run times are wall clock, as measured.</p>\n"
)
SMOKE = (
    "What a quick run draws is a smoke test: few labels and seeds, to see that all works. "
    'The <a href="../../../figures/cpu">published results</a> are those of the cpu profile.'
)
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
    """Markdown as a page of the gallery has it."""

    def __init__(self) -> None:
        super().__init__(
            escape=False, embed_images=True, exclude_anchor_links=True, path=str(project())
        )

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return f'<div class="equation">{mathml(body, "block")}</div>\n'

    def image(self, text: str, url: str, title: str | None = None) -> str:
        # Notebooks lie one folder below the project; nbconvert embeds only what is below `path`.
        url = url.removeprefix("../")
        if not url.startswith("attachment:") and not (project() / url).is_file():
            return f"<em>{text} (no picture {html.escape(url)} yet)</em>"
        return super().image(text, url, title)


def mathml(tex: str, display: str = "inline") -> str:
    r"""An equation as MathML, which browsers draw by themselves; TeX that is not understood stays.

    >>> mathml("n").startswith("<math") and mathml("n").endswith("<mi>n</mi></mrow></math>")
    True
    """
    try:
        return converter.convert(tex, display=display)
    except Exception:  # the converter has no common base for its errors
        return f"<code>{html.escape(tex)}</code>"


def markdown(source: str) -> str:
    """A piece of a notebook's Markdown as HTML."""
    return MarkdownWithMath(_Renderer()).render(source)


def notebook_body(node: NotebookNode) -> str:
    """The body of an executed notebook, with its links as they are."""
    # nbconvert's plainest template: no scripts, no style sheets, no fonts from elsewhere.
    exporter = HTMLExporter(template_name="basic", filters={"markdown2html": markdown})
    body, _ = exporter.from_notebook_node(node)
    return body


def linked(body: str, pages: Collection[str]) -> str:
    """A body in which links lead on from the gallery; `pages` are the stems that are in it."""
    soup = BeautifulSoup(body, "html.parser")
    for anchor in soup("a", href=True):
        anchor["href"] = _leads(str(anchor["href"]), pages)
    return str(soup)


def _leads(url: str, pages: Collection[str]) -> str:
    """Where a link leads to; notebooks, which have it, lie one folder below the project."""
    if re.match(r"[\w+.-]+:|[#/]", url):
        return url
    path, mark, section = url.partition("#")
    stem = path.removesuffix(".ipynb")
    if stem in pages:
        return f"{stem}.html{mark}{section}"
    # A browser lists a folder, and would show the source of its README.
    path = re.sub(r"(?<=\w/)README\.md$", "", path)
    return f"../../../{posixpath.normpath(f'notebooks/{path}')}{mark}{section}"


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


@dataclass(frozen=True)
class _Run:
    """What the gallery shows of a notebook: a page with head and body, a card on the first page.

    Body and card have their links as they are in notebooks.
    """

    title: str
    head: str
    body: str
    card: str


def write(profile: str) -> Path:
    """Write the gallery of all that has been executed in a profile; returns its first page.

    What is left out is named there and on the console.

    Raises:
        InputError: nothing has been executed yet.
    """
    folder = project() / "runs" / profile
    first = folder / "gallery" / "index.html"
    runs, left_out = _runs(folder)
    for reason in left_out:
        print(f"warning: left out of the gallery: {reason}", file=sys.stderr)
    if runs.keys() <= {INDEX}:
        raise InputError(f"no executed notebooks in {folder}; `make figures PROFILE={profile}`")
    for stem, run in runs.items():
        body = run.head + linked(run.body, runs)
        _save(first.with_stem(stem), page(run.title, body))
    heading = html.escape(f"ialelib: executed notebooks of the {profile} profile")
    cards = "".join(linked(run.card, runs) for stem, run in runs.items() if stem != INDEX)
    omitted = "".join(f"<li>{html.escape(reason)}</li>\n" for reason in left_out)
    if omitted:
        remedy = html.escape(f"make figures PROFILE={profile}")
        omitted = f"<h2>Left out</h2>\n<p><code>{remedy}</code> makes them.</p><ul>{omitted}</ul>\n"
    intro = f"<h1>{heading}</h1>\n{linked(INTRO, runs)}"
    _save(first, page(heading, intro + _smoke(folder) + cards + omitted))
    return first


def _save(path: Path, text: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(text)


def _smoke(folder: Path) -> str:
    """What is to be said of the pictures of a quick run."""
    return f'<p class="smoke">{SMOKE}</p>\n' if folder.name == "quick" else ""


def _runs(folder: Path) -> tuple[dict[str, _Run], list[str]]:
    """The index, finished notebooks and those that failed, by their stems; what is left out, why.

    A notebook without a result that has not failed is at work, or was stopped.
    """
    paths = {INDEX: project() / "notebooks" / f"{INDEX}.ipynb"}
    paths |= {path.stem: path for path in folder.glob("logs/[!.]*.ipynb")}
    paths |= {path.stem: path for path in folder.glob("[!.]*.ipynb")}
    runs, left_out = {}, []
    for stem, path in sorted(paths.items()):
        try:
            notebook = executed.load(path)
            if path.parent.name == "logs" and not _failed(notebook):
                raise InputError(f"{path} is at work, or was stopped before its end")
            runs[stem] = _run(folder, stem, path, notebook)
        except InputError as error:
            left_out.append(str(error))
        except Exception as error:  # of whatever may stand in somebody's notebook
            left_out.append(f"{path} cannot be shown ({type(error).__name__})")
    return runs, [reason.removeprefix(f"{project()}/") for reason in left_out]


def _run(folder: Path, stem: str, path: Path, notebook: NotebookNode) -> _Run:
    title, status = _title(stem, notebook), _status(folder, stem, notebook)
    offered = _downloads(folder, path, notebook)
    head = f'<p class="note"><a href="index.html">all notebooks</a> | {status}<br>{offered}</p>\n'
    if stem != INDEX:
        head += _smoke(folder)
    body = notebook_body(notebook)
    return _Run(title, head, body, _card(stem, notebook, title, status))


def _downloads(folder: Path, path: Path, notebook: NotebookNode) -> str:
    """Links that save the notebook, which the page has in itself, and the tables of its run.

    Browsers show a notebook on the disk, whatever the link says; tables they save.
    """
    text = base64.b64encode(path.read_bytes()).decode()
    links = [(f"data:application/x-ipynb+json;base64,{text}", path.name)]
    for table in _tables(path.stem, notebook):
        links.append((quote(os.path.relpath(table, folder / "gallery")), table.name))
    named = ((html.escape(link), html.escape(name)) for link, name in links)
    return "download: " + ", ".join(
        f'<a download="{name}" href="{link}">{name}</a>' for link, name in named
    )


def _tables(stem: str, notebook: NotebookNode) -> list[Path]:
    """The tables that a run has left; none if it failed."""
    figures = _papermill(notebook).get("parameters", {}).get("figures")
    if not figures or _failed(notebook):
        return []
    return sorted((project() / figures).glob(f"{glob.escape(stem.partition('-')[0])}_*.csv"))


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
    link = f'<a href="{html.escape(stem)}.ipynb">'
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
    seconds, memory = _papermill(notebook).get("duration"), ""
    measured = folder / "benchmarks" / f"{stem}.tsv"
    if measured.is_file() and not _failed(notebook):
        with suppress(ValueError, KeyError, TypeError):  # damaged, or memory was not measured
            (row,) = csv.DictReader(measured.read_text().splitlines(), delimiter="\t")
            seconds = float(row["s"])
            memory = f"at most {float(row['max_rss']):.0f} MB"
    parts = [_time(seconds) if seconds else "", notebook.metadata.get("machine", ""), memory]
    failed = '<span class="failed">failed</span> after ' if _failed(notebook) else ""
    cost = html.escape(", ".join(filter(None, parts)))
    return html.escape(stem) + (f": {failed}{cost}" if failed or cost else "")


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
