"""Executed notebooks: any damage is found, set aside, and kept out of the gallery by its name."""

import json
import os
import random
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from ialelib.runner import check, executed, gallery
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]
Damage = Callable[[Path, random.Random], None]


def notebook() -> NotebookNode:
    data = {"text/plain": "{}", "application/json": {"ialelib-digest": "of somebody else"}}
    outputs = [new_output("stream", text="0.75\n"), new_output("display_data", data)]
    cells = [
        new_markdown_cell('# A title\n\n**Question.** Why "ialelib-digest": "0"?'),
        new_code_cell("print(accuracy)", outputs=outputs),
    ]
    papermill = {"duration": 3.5, "exception": None, "parameters": {"figures": "figures/x"}}
    return new_notebook(cells=cells, metadata={"papermill": papermill, "machine": "A, 2 cores"})


def truncated(path: Path, rng: random.Random) -> None:
    text = path.read_bytes()
    path.write_bytes(text[: rng.randrange(len(text))])


def flipped(path: Path, rng: random.Random) -> None:
    text = bytearray(path.read_bytes())
    text[rng.randrange(len(text))] ^= 1 << rng.randrange(8)
    path.write_bytes(text)


def changed(path: Path, rng: random.Random) -> None:
    text = bytearray(path.read_bytes())
    place = rng.randrange(len(text))
    text[place] = rng.choice([byte for byte in range(256) if byte != text[place]])
    path.write_bytes(text)


def zeroed(path: Path, rng: random.Random) -> None:
    text = path.read_bytes()
    start = rng.randrange(len(text))
    path.write_bytes(text[:start] + b"\0" * (len(text) - start))


def lost(path: Path, rng: random.Random) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    del lines[rng.randrange(len(lines))]
    path.write_bytes(b"".join(lines))


def edited(path: Path, rng: random.Random) -> None:
    text = path.read_text()
    path.write_text(text.replace(*rng.choice([("0.75", "0.76"), ("3.5", "2.5"), ("A, 2", "B, 2")])))


FOREIGN: tuple[bytes, ...] = (
    b"[]",
    b"{}",
    b"null",
    b"1",
    b'{"cells": 3, "nbformat": 4}',
    b'{"nbformat": 4}',
)
FOREIGN += (
    b"[" * 3000,
    b"\xff\xfe{}",
    b"<!DOCTYPE html>",
    b"version https://git-lfs\n",
    b"",
    b"\n",
)


def foreign(path: Path, rng: random.Random) -> None:
    path.write_bytes(rng.choice(FOREIGN))


def folder(path: Path, rng: random.Random) -> None:
    path.unlink()
    (path / str(rng.random())).mkdir(parents=True)


def pipe(path: Path, rng: random.Random) -> None:
    path.unlink()
    os.mkfifo(path)


KINDS: dict[str, tuple[Damage, int]] = {
    "truncated": (truncated, 12),
    "flipped": (flipped, 16),
    "changed": (changed, 12),
    "zeroed": (zeroed, 5),
    "lost": (lost, 8),
    "edited": (edited, 3),
    "foreign": (foreign, 12),
    "folder": (folder, 1),
    "pipe": (pipe, 1),
}
CASES = [(kind, seed) for kind, (_, number) in KINDS.items() for seed in range(number)]


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a profile of two notebooks, both of which have been executed."""
    (tmp_path / "params" / "x").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    nbformat.write(new_notebook(), tmp_path / "notebooks" / "00_index.ipynb")
    for stem in ("01_toy_gaussians", "17_labelling"):
        values = yaml.safe_load((PROJECT / f"params/quick/{stem}.yaml").read_text())
        values |= {"figures": "figures/x", "runs": "runs/x"}
        (tmp_path / "params" / "x" / f"{stem}.yaml").write_text(yaml.safe_dump(values))
        executed.save(notebook(), tmp_path / "runs" / "x" / f"{stem}.ipynb")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "x"


def names(runs: Path) -> set[str]:
    return {path.name for path in runs.iterdir() if path.name != "gallery"}


def test_what_was_saved_is_whole_and_comes_back(runs: Path) -> None:
    path = runs / "01_toy_gaussians.ipynb"
    assert executed.whole(path)
    back = executed.load(path)
    assert len(back.metadata.pop("ialelib-digest")) == 16
    assert [cell.source for cell in back.cells] == [cell.source for cell in notebook().cells]
    assert back.cells[1].outputs == notebook().cells[1].outputs
    assert back.metadata == notebook().metadata
    executed.save(back, runs / "again.ipynb")
    assert (runs / "again.ipynb").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("kind", "seed"), CASES)
def test_damage_is_named_left_out_and_set_aside(
    runs: Path, kind: str, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = runs / "01_toy_gaussians.ipynb"
    KINDS[kind][0](path, random.Random(f"{kind} {seed}"))
    assert not executed.whole(path)
    damaged = path.read_bytes() if path.is_file() else None

    page = gallery.write("x").read_text()
    assert "17_labelling.html" in page
    if "01_toy_gaussians.html" in page:  # without its digest, it may be somebody else's
        assert executed.NAME not in json.loads(damaged or b"")["metadata"]
    else:
        assert "<li>runs/x/01_toy_gaussians.ipynb " in page
        said = capsys.readouterr().err
        assert said.startswith("warning: left out of the gallery: runs/x/01_toy_gaussians.ipynb ")
        assert said.count("\n") == 1

    capsys.readouterr()
    assert check.main(["params/x"]) == 0
    aside = path.with_name(f"{path.name}.damaged")
    assert capsys.readouterr().err == (
        "warning: runs/x/01_toy_gaussians.ipynb is damaged: kept as "
        "01_toy_gaussians.ipynb.damaged, and made again\n"
    )
    assert names(runs) == {aside.name, "17_labelling.ipynb"}
    assert damaged is None or aside.read_bytes() == damaged


def test_all_that_was_set_aside_is_kept(runs: Path) -> None:
    path = runs / "01_toy_gaussians.ipynb"
    for number in ("", "1", "2"):
        path.write_text(f"damaged {number}")
        assert check.main(["params/x"]) == 0
        assert path.with_name(f"{path.name}.damaged{number}").read_text() == f"damaged {number}"


def test_a_figure_sets_only_aside_what_it_runs(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "figures", lambda: {"fig01": ["01_toy_gaussians"]})
    (runs / "17_labelling.ipynb").write_text("")
    assert check.main(["params/x", "fig01"]) == 0
    assert names(runs) == {"01_toy_gaussians.ipynb", "17_labelling.ipynb"}


def test_a_batch_that_is_refused_moves_nothing(runs: Path) -> None:
    (runs / "17_labelling.ipynb").write_text("")
    Path("params/x/01_toy_gaussians.yaml").write_text("overlap: 7")
    assert check.main(["params/x"]) == 2
    assert names(runs) == {"01_toy_gaussians.ipynb", "17_labelling.ipynb"}


def test_what_others_executed_is_shown_but_a_batch_makes_it_again(runs: Path) -> None:
    nbformat.write(notebook(), runs / "01_toy_gaussians.ipynb")
    nbformat.write(notebook(), runs / "own.ipynb")
    page = gallery.write("x").read_text()
    assert "01_toy_gaussians.html" in page
    assert "own.html" in page
    assert check.main(["params/x"]) == 0
    assert names(runs) == {"01_toy_gaussians.ipynb.damaged", "17_labelling.ipynb", "own.ipynb"}


ODD = (
    {"papermill": [1]},
    {"papermill": {"parameters": 3}},
    {"papermill": {"duration": "long"}},
    {"machine": {"a": 1}},
    {"papermill": {"parameters": {"figures": 5}}},
)


@pytest.mark.parametrize("metadata", ODD, ids=repr)
def test_a_notebook_that_cannot_be_shown_keeps_no_other_from_being_shown(
    runs: Path, metadata: dict[str, object]
) -> None:
    odd = new_notebook(cells=[new_markdown_cell("![a](attachment:none.png)")], metadata=metadata)
    nbformat.write(odd, runs / "01_toy_gaussians.ipynb")
    page = gallery.write("x").read_text()
    assert "17_labelling.html" in page
    assert "<li>runs/x/01_toy_gaussians.ipynb cannot be shown (" in page


def test_nothing_whole_is_refused_with_the_command(runs: Path) -> None:
    for path in runs.glob("*.ipynb"):
        path.write_text("")
    with pytest.raises(InputError, match="make figures PROFILE=x"):
        gallery.write("x")
