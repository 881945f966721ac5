"""The progress bar is there for people and for nobody else."""

import io
import sys
from pathlib import Path

import browser
import nbformat
import pytest
from nbclient import NotebookClient

from ialelib.utils.progress import SEEN, progress, tell

SOURCE = """\
import time
from ialelib.utils.progress import SEEN, progress, tell
for _ in progress(range(3), 3, "episodes"):
    time.sleep(0.1)
print("done")"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(Terminal(), True), (io.StringIO(), False)])
def test_terminals_show_it_and_logs_do_not(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, shown: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert list(progress(iter("abc"), 3, "cycles")) == ["a", "b", "c"]
    assert ("cycles: 100%" in stream.getvalue()) == shown
    assert bool(stream.getvalue()) == shown


@pytest.mark.parametrize("of_a_worker", [[], [False], [True]])
@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()])
def test_a_line_is_told_to_people_by_workers_too(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, of_a_worker: list[bool]
) -> None:
    monkeypatch.setattr(sys, "stderr", out := type(stream)())
    monkeypatch.setattr("ialelib.utils.progress.SEEN", of_a_worker)
    assert SEEN == []
    tell("compiling")
    told = stream.isatty() or of_a_worker == [True]
    assert out.getvalue() == "compiling\n" * told


def test_what_is_soon_done_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert list(progress(range(3), 3, "batches", after=60)) == [0, 1, 2]
    assert terminal.getvalue() == ""


def test_a_notebook_that_a_program_executes_has_no_bar(tmp_path: Path) -> None:
    browser.write_notebook(tmp_path / "work.ipynb", SOURCE)
    notebook = nbformat.read(tmp_path / "work.ipynb", 4)
    NotebookClient(notebook, kernel_name="python3").execute()
    (output,) = notebook.cells[0].outputs
    assert output.text == "done\n"


@pytest.mark.skipif(not browser.CHROMIUM, reason=browser.MISSING)
def test_a_notebook_that_a_person_runs_in_jupyterlab_has_one(tmp_path: Path) -> None:
    browser.write_notebook(tmp_path / "work.ipynb", SOURCE)
    with browser.jupyterlab(tmp_path) as address, browser.chromium() as page:
        page.goto(f"{address}/lab/tree/work.ipynb")
        browser.run_all(page)
        page.get_by_text("episodes: 100%").wait_for()
        page.get_by_text("done", exact=True).wait_for()
        assert page.locator(".widget-hprogress, .jupyter-widget-hprogress").count() == 1
