"""What the notebooks point at is there, and what they run has been run."""

import ast
import json
import re
import symtable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from ialelib.runner import gallery

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINES = {"18_extend": 20}
"""Own classifiers and functions take longer cells there."""
LOOPS = ast.For | ast.While
LINK = re.compile(r"\]\((?!https?:)([^)#]+)\)")


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


def is_parameters(cell: dict[str, Any]) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


def code(path: Path) -> list[str]:
    """The code cells but that of parameters."""
    return ["".join(cell["source"]) for cell in cells(path, "code") if not is_parameters(cell)]


def assigned(source: str) -> set[str]:
    """The variables that a cell assigns, loop variables and functions among them."""
    table = symtable.symtable(source, "cell", "exec")
    return {symbol.get_name() for symbol in table.get_symbols() if symbol.is_assigned()}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_pictures_and_pages_that_it_links_to_exist(path: Path) -> None:
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    # JupyterLab opens no folder: a link to one is a link to its README.
    assert [link for link in LINK.findall(text) if not (path.parent / link).is_file()] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_cell_was_run_and_none_failed(path: Path) -> None:
    for cell in cells(path, "code"):
        assert cell["execution_count"], "nbval would skip this cell"
        assert all(output["output_type"] != "error" for output in cell["outputs"])


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_it_opens_with_question_run_time_and_source_and_ends_with_results(path: Path) -> None:
    first, *_, last = ("".join(cell["source"]) for cell in cells(path, "markdown"))
    assert first.startswith("# ")
    assert "**Question.**" in first
    assert "![" in first, "no picture of the answer"
    assert "**Run time.**" in first
    assert re.search(r"\*\*Source\.\*\* .*\]\(\.\./ialelib/[\w/]+\.py\)", first)
    assert last.startswith("## Results")
    assert last.count("\n") < 25, "more than a screen"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_code_cells_are_a_handful_of_lines(path: Path) -> None:
    for source in code(path):
        assert source.strip().count("\n") < LINES.get(path.stem, 15), source
        loops = [node for node in ast.walk(ast.parse(source)) if isinstance(node, LOOPS)]
        assert all(loop.end_lineno - loop.lineno < 4 for loop in loops if loop.end_lineno), source


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_only_the_cell_of_parameters_assigns_them(path: Path) -> None:
    (parameters,) = (cell for cell in cells(path, "code") if is_parameters(cell))
    source = "".join(parameters["source"])
    assert source.startswith("# Parameters of the quick profile; papermill puts others below.\n")
    assert 'runs = "runs/interactive/{code}"\nfigures = "figures/interactive"\n' in source
    names = assigned(source)
    assert [source for source in code(path) if names & assigned(source)] == []


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_it_reaches_the_library_in_one_way(path: Path) -> None:
    imports = re.findall(r"^ *(?:import|from) ialelib.*", "\n".join(code(path)), re.MULTILINE)
    assert set(imports) == {"import ialelib as iale"}


def test_index_lists_every_notebook() -> None:
    text = NOTEBOOKS[0].read_text()
    assert [path.stem for path in NOTEBOOKS[1:] if f"({path.name})" not in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS[1:], ids=lambda path: path.stem)
def test_index_marks_what_has_not_been_computed(path: Path) -> None:
    text = "".join(cells(NOTEBOOKS[0], "markdown")[0]["source"])
    (row,) = (line for line in text.splitlines() if line.startswith(f"| [{path.stem}]"))
    published = bool(list((ROOT / "figures/cpu").rglob(f"{path.stem}_*")))
    assert row.split("|")[-2].strip().startswith("computed") == published


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
    page = gallery.notebook_body(nbformat.read(path, 4))
    assert [words for words in drawn if f'alt="{words}"' not in page] == []
