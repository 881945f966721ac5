"""What the notebooks point at is there, and what they run has been run."""

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest

from ialelib.runner import gallery

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_and_pages_that_it_links_to_exist(path: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert [link for link in LINK.findall(text) if not (path.parent / link).exists()] == []


def test_what_the_readme_links_to_exists() -> None:
    readme = ROOT / "README.md"
    assert [link for link in LINK.findall(readme.read_text()) if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_was_run_and_none_failed(path: Path) -> None:
    for cell in cells(path, "code"):
        assert cell["execution_count"], "nbval would skip this cell"
        assert all(output["output_type"] != "error" for output in cell["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_it_opens_with_question_and_run_time_and_says_what_was_seen(path: Path) -> None:
    first, *_, last = ("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert first.startswith("# ")
    assert "**Question.**" in first
    assert "![" in first, "no picture of the answer"
    assert "**Run time.**" in first
    assert last.startswith("## What was seen here")


def test_index_lists_every_notebook() -> None:
    text = NOTEBOOKS[0].read_text()
    assert [path.stem for path in NOTEBOOKS[1:] if f"({path.name})" not in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_picture_has_words_for_those_who_cannot_see_it(path: Path) -> None:
    drawn = [
        cell["metadata"].get("alt", "")
        for cell in cells(path, "code")
        if any("image/png" in output.get("data", {}) for output in cell["outputs"])
    ]
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    shown = re.findall(r"!\[([^\]]*)\]\(", text)
    assert [words for words in [*drawn, *shown] if len(words) < 30] == []
    page = gallery.notebook_body(nbformat.read(path, 4), [])
    assert [words for words in drawn if f'alt="{words}"' not in page] == []
