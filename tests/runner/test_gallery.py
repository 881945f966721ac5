"""The gallery: what its pages say, and that they load nothing from anywhere."""

import base64
import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import browser
import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from playwright.sync_api import Dialog, Page

from ialelib.runner import gallery
from ialelib.runner import gallery as pages
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
OPENING = """# Does it work? (Figure 9)

**Question.** Is $n < 3$ & good? (Sec. 1.)

![The answer](../figures/cpu/09_x_curves.png)
"""
LIST = "# All\n\n[9](09_x.ipynb), [not run](10_y.ipynb), [policies](../policies/README.md)"
PIXEL = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x00\x00\x00\x00:~\x9bU"
    b"\x00\x00\x00\nIDATx\x9cc`\x00\x00\x00\x02\x00\x01H\xaf\xa4q\x00\x00\x00\x00IEND\xaeB`\x82"
)
LOADS = {"src", "data", "srcset", "poster", "background"}


class Resources(HTMLParser):
    """Addresses that a page loads by itself, not those that a reader may follow."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name in LOADS or (name == "href" and tag not in ("a", "area")):
                self.found.append(value or "")
            elif name == "href":
                self.links.append(value or "")
            elif name == "style":
                self.found += re.findall(r"url\(([^)]*)\)", value or "")


def loaded(page: str) -> list[str]:
    """What a page needs besides itself."""
    styles = "".join(re.findall(r"<style.*?</style>", page, re.DOTALL))
    imported = re.findall(r"@import[^;]*|url\([^)]*\)", styles)
    return [url for url in Resources(page).found + imported if not url.startswith("data:image/")]


def executed(metadata: dict[str, Any], *cells: Any) -> nbformat.NotebookNode:
    papermill = {"duration": 119.0, "exception": None, "parameters": {"figures": "figures/x"}}
    return new_notebook(
        cells=[new_markdown_cell(OPENING), *cells],
        metadata={"papermill": papermill | metadata, "machine": "A"},
    )


def drawing() -> Any:
    data = {"image/png": base64.b64encode(b"drawn in the notebook").decode()}
    return new_code_cell("draw()", outputs=[new_output("display_data", data)])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project, in which the tests work."""
    (tmp_path / "notebooks").mkdir()
    index = new_notebook(cells=[new_markdown_cell(LIST)])
    nbformat.write(index, tmp_path / "notebooks" / "00_index.ipynb")
    for name in ("logs", "benchmarks"):
        (tmp_path / "runs" / "x" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_index_shows_title_question_cost_and_picture(folder: Path) -> None:
    nbformat.write(executed({}), folder / "runs/x/09_x-kmnist.ipynb")
    measured = "s\th:m:s\tmax_rss\tcpu_time\n125.1\t0:02:05\t70.31\t200.5\n"
    (folder / "runs/x/benchmarks/09_x-kmnist.tsv").write_text(measured)
    (folder / "figures" / "x").mkdir(parents=True)
    (folder / "figures/x/09_x_curves.png").write_bytes(PIXEL)
    page = gallery.write("x").read_text()
    assert '<a href="09_x-kmnist.html">Does it work? (Figure 9) [kmnist]</a>' in page
    assert re.search(r"Is <math.*</math> &amp; good\? \(Sec\. 1\.\)", page)
    assert "09_x-kmnist: 2 min, A, at most 70 MB" in page
    assert f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}" in page
    assert loaded(page) == []


def test_without_the_named_picture_the_first_one_drawn_is_shown(folder: Path) -> None:
    nbformat.write(executed({}, drawing()), folder / "runs/x/09_x.ipynb")
    page = gallery.write("x").read_text()
    assert base64.b64encode(b"drawn in the notebook").decode() in page


def test_a_failed_run_is_shown_with_its_error(folder: Path) -> None:
    error = new_output("error", ename="InputError", evalue="no", traceback=["no such thing"])
    failed = executed({"exception": True}, new_code_cell("f()", outputs=[error]))
    nbformat.write(failed, folder / "runs/x/logs/09_x.ipynb")
    nbformat.write(executed({}), folder / "runs/x/logs/10_at_work.ipynb")
    page = gallery.write("x").read_text()
    assert '<span class="failed">failed</span> after 2 min' in page
    assert "runs/x/logs/10_at_work.ipynb is at work, or was stopped before its end" in page
    assert "no such thing" in (folder / "runs/x/gallery/09_x.html").read_text()


def test_a_run_that_succeeded_at_last_is_not_called_failed(folder: Path) -> None:
    nbformat.write(executed({"exception": True}), folder / "runs/x/logs/09_x.ipynb")
    nbformat.write(executed({}), folder / "runs/x/09_x.ipynb")
    assert "failed</span>" not in gallery.write("x").read_text()


def test_a_run_that_is_just_written_or_was_killed_is_left_out_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nbformat.write(executed({}), folder / "runs/x/08_x.ipynb")
    (folder / "runs/x/logs/09_x.ipynb").write_text('{"cells": [')
    page = gallery.write("x").read_text()
    assert "08_x" in page
    assert "09_x.html" not in page
    assert "<li>runs/x/logs/09_x.ipynb is no notebook</li>" in page
    assert capsys.readouterr().err == (
        "warning: left out of the gallery: runs/x/logs/09_x.ipynb is no notebook\n"
    )


def test_memory_that_was_not_measured_is_left_out(folder: Path) -> None:
    nbformat.write(executed({}), folder / "runs/x/09_x.ipynb")
    assert "09_x: 2 min, A</p>" in gallery.write("x").read_text()
    (folder / "runs/x/benchmarks/09_x.tsv").write_text("s\tmax_rss\n0.4\tNA\n")
    assert "09_x: 0 s, A</p>" in gallery.write("x").read_text()
    for damaged in (b"", b"s\tmax_rss\n", b"\xff\xfe", b"s\tmax_rss\nlong\t1\n"):
        (folder / "runs/x/benchmarks/09_x.tsv").write_bytes(damaged)
        assert "09_x: 2 min, A</p>" in gallery.write("x").read_text()


def test_the_index_is_a_page_of_it(folder: Path) -> None:
    nbformat.write(executed({}), folder / "runs/x/09_x.ipynb")
    first = gallery.write("x")
    assert "00_index.html" in Resources(first.read_text()).links
    links = Resources(first.with_stem("00_index").read_text()).links
    assert links[2:] == ["09_x.html", "../../../notebooks/10_y.ipynb", "../../../policies"]


def test_quick_runs_are_called_a_smoke_test_and_others_are_not(folder: Path) -> None:
    for name in ("quick", "x"):
        (folder / "runs" / name).mkdir(exist_ok=True)
        nbformat.write(executed({}), folder / "runs" / name / "09_x.ipynb")
        first = gallery.write(name)
        for path in (first, first.with_stem("09_x")):
            assert ("smoke test" in path.read_text()) == (name == "quick")
        assert "smoke test" not in first.with_stem("00_index").read_text()


def test_nothing_executed_is_said_with_the_command(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match="make figures PROFILE=x"):
        gallery.write("x")
    assert gallery.main(["x"]) == 2
    assert capsys.readouterr().err.startswith("error: no executed notebooks in ")


@pytest.mark.parametrize(
    ("link", "leads_to"),
    [
        ("[a](09_x.ipynb)", "09_x.html"),
        ("[a](09_x.ipynb#Results)", "09_x.html#Results"),
        ("[a](00_index.ipynb)", "../../../notebooks/00_index.ipynb"),
        ("[a](10_y.ipynb)", "../../../notebooks/10_y.ipynb"),
        ("[a](../policies/a.md)", "../../../policies/a.md"),
        ("[a](../policies/README.md)", "../../../policies"),
        ("[a](../README.md)", "../../../README.md"),
        ("[a](#Results)", "#Results"),
        ("[a](https://example.org)", "https://example.org"),
        ('<a href="09_x.ipynb">a</a>', "09_x.html"),
    ],
)
def test_links_lead_to_pages_of_the_gallery(link: str, leads_to: str) -> None:
    assert Resources(pages.linked(pages.markdown(link), ["09_x"])).links == [leads_to]


def test_a_picture_that_is_not_there_yet_is_named(folder: Path) -> None:
    page = pages.markdown("![The answer](../figures/cpu/09_x_curves.png)")
    assert "The answer (no picture figures/cpu/09_x_curves.png yet)" in page
    assert loaded(page) == []


def test_equations_are_mathml_and_odd_ones_stay_readable() -> None:
    page = pages.markdown("$a_b$\n\n$$\\sum_n t_n$$\n\n$\\left($")
    assert len(re.findall("<math", page)) == 2
    assert 'display="block"' in page
    assert r"<code>\left(</code>" in page


HOSTILE = """# <img src=x onerror="alert('title')">A title

**Question.** <script>alert("question")</script>Which? <svg onload="alert('svg')"><circle/></svg>

[link](javascript:alert("link")) <a href="data:text/html,<script>alert(1)</script>">data</a>
<iframe src="https://example.org"></iframe><form action="https://example.org"><button>b</button>
</form><meta http-equiv="refresh" content="0; url=https://example.org"><base href="https://example.org/">
<img src="https://example.org/seen.png"><div style="background: url(https://example.org/s)">d</div>
<math><mtext><style><img src=x onerror="alert('math')"></style></mtext></math>
"""


def hostile() -> nbformat.NotebookNode:
    html = "<b onclick=\"alert('click')\">bold</b><script>alert('html')</script>"
    data = [
        {"text/html": html + "<a href=\"javascript:alert('anchor')\">anchor</a>"},
        {"application/javascript": "alert('javascript')"},
        {"image/svg+xml": "<svg xmlns='http://www.w3.org/2000/svg' onload=\"alert('file')\"/>"},
        {"text/markdown": "<details open ontoggle=\"alert('toggle')\">d</details>"},
        {"image/png": "\"><script>alert('png')</script>"},
        {"text/latex": "$<script>alert('latex')</script>$"},
    ]
    outputs = [new_output("display_data", part) for part in data]
    outputs.append(new_output("stream", text="<script>alert('stream')</script>"))
    cell = new_code_cell("1 # <script>alert('code')</script>", outputs=outputs)
    cell.metadata.tags = ['"><script>alert("tag")</script>']
    node = new_notebook(cells=[new_markdown_cell(HOSTILE), cell])
    node.metadata |= {"machine": "<script>alert('machine')</script>"}
    node.metadata.widgets = {"application/vnd.jupyter.widget-state+json": {"state": {}}}
    return node


@pytest.fixture
def opened() -> Iterator[Page]:
    """A page of a browser that fails the test at a dialog or at a word to another machine."""
    if not browser.CHROMIUM:
        pytest.skip(browser.MISSING)
    said: list[str] = []

    def note(dialog: Dialog) -> None:
        said.append(dialog.message)
        dialog.dismiss()

    with browser.chromium() as page:
        page.on("dialog", note)
        strangers = browser.strangers(page)
        yield page
        assert said == strangers == []


def test_a_foreign_notebook_runs_and_loads_nothing(folder: Path, opened: Page) -> None:
    nbformat.write(hostile(), folder / "runs/x/09_x.ipynb")
    index = gallery.write("x")
    for path in (index, index.with_stem("09_x")):
        text = path.read_text()
        tags = {name for name, _ in re.findall(r"<(\w+)([^>]*)>", text)}
        assert not tags & {"script", "iframe", "form", "svg", "base", "object"}
        assert not re.search(r'<[^>]*\s(on\w+|style)="|href="javascript', text)
        opened.goto(path.as_uri())
        opened.wait_for_timeout(500)
        assert opened.url == path.as_uri()
    opened.get_by_text("bold", exact=True).click()
    opened.get_by_text("anchor", exact=True).click()
    assert "A title" in opened.title()
    # Even what `clean` would have let pass is not run.
    passed = "<body><script>alert('passed')</script><img src=x onerror=\"alert('image')\">"
    text = path.read_text().replace("<body>", passed)
    path.write_text(text)
    opened.goto(path.as_uri())


def test_the_notebook_and_its_tables_can_be_saved(folder: Path, opened: Page) -> None:
    notebook = folder / "runs/x/09_x-kmnist.ipynb"
    nbformat.write(executed({}), notebook)
    tables = folder / "figures" / "x"
    tables.mkdir(parents=True)
    for name in ("09_x_curves", "09_x_a b", "09_xy_other"):
        (tables / f"{name}.csv").write_text("a,b\n1,2\n")
    opened.goto(gallery.write("x").with_stem("09_x-kmnist").as_uri())
    saved = {"09_x-kmnist.ipynb": notebook, **{t.name: t for t in tables.glob("09_x_*")}}
    assert opened.locator("a[download]").all_inner_texts() == sorted(saved)
    for name, path in saved.items():
        with opened.expect_download() as download:
            opened.get_by_role("link", name=name).click()
        assert download.value.suggested_filename == name
        assert download.value.path().read_bytes() == path.read_bytes()


def test_a_failed_run_offers_no_tables_of_an_earlier_one(folder: Path) -> None:
    nbformat.write(executed({"exception": True}), folder / "runs/x/logs/09_x.ipynb")
    (folder / "figures" / "x").mkdir(parents=True)
    (folder / "figures/x/09_x_curves.csv").write_text("a,b\n1,2\n")
    assert "curves.csv" not in gallery.write("x").with_stem("09_x").read_text()


@pytest.fixture
def whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The first page of a gallery of the real notebooks, as committed; all but the last one run."""
    for name in ("notebooks", "figures", "policies", "ialelib", "docs", "benchmarks", "README.md"):
        (tmp_path / name).symlink_to(PROJECT / name)
    runs = tmp_path / "runs" / "quick"
    runs.mkdir(parents=True)
    for path in sorted(PROJECT.glob("notebooks/*.ipynb"))[1:-1]:
        shutil.copy(path, runs)
    monkeypatch.chdir(tmp_path)
    return gallery.write("quick")


def test_pages_fit_a_telephone_and_links_of_the_index_lead_to_what_is_there(
    whole: Path, opened: Page
) -> None:
    opened.set_viewport_size({"width": 390, "height": 844})
    wide = "document.documentElement.scrollWidth"
    pages = sorted(whole.parent.glob("*.html"))
    assert len(pages) > 20
    for path in pages:
        opened.goto(path.as_uri())
        assert opened.evaluate(wide) <= 390, path.name
    for path in (whole, whole.with_stem("00_index")):
        links = [link for link in Resources(path.read_text()).links if ":" not in link]
        assert len(links) > 20
        assert [link for link in links if not (path.parent / unquote(link)).exists()] == []


@pytest.mark.parametrize("path", sorted(PROJECT.glob("notebooks/*.ipynb")), ids=lambda p: p.stem)
def test_pages_of_the_real_notebooks_load_nothing(path: Path) -> None:
    node = nbformat.read(path, as_version=4)
    page = pages.page("title", pages.notebook_body(node))
    assert loaded(page) == []
    text = re.sub(r"<pre.*?</pre>|data:image[^\"]*", "", page, flags=re.DOTALL)
    assert "$" not in text
    assert text.count("<script") == 0
