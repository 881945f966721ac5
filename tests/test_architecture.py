"""The house: imports point one way, every module lies in its room, tests mirror the rooms."""

import ast
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

import ialelib as iale

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "ialelib"
CORE = (
    *("data", "models", "recipes", "probe", "training", "greedy", "coverage", "clusters", "fisher"),
    *("experts", "oracle", "state", "features", "generalist", "policy", "cycle", "rollout"),
    *("dagger", "metrics", "results"),
)
BELOW = ("utils", "kernels")
ABOVE = ("inference", "search", "experiments", "plots", "params", "runner")
WIDGETS = ("demo", "labelling")
ORDER = ("utils", "data", "models", "recipes", "kernels", *CORE[3:], *ABOVE)
MODULES = sorted(LIBRARY.rglob("*.py"))


def place(module: str) -> str:
    """The room of a module, or the module of the core: "ialelib.plots.toy" is in "plots"."""
    return module.split(".")[1] if "." in module else ""


def imported(path: Path) -> set[str]:
    """The modules of this library that a file imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = [f"{node.module}.{name.name}" for name in node.names]
            found |= {node.module, *inner} - {"ialelib"}
    return {name for name in found if name.startswith("ialelib.") and exists(name)}


def exists(module: str) -> bool:
    path = ROOT / module.replace(".", "/")
    return path.with_suffix(".py").exists() or path.is_dir()


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=module_of)
def test_imports_point_one_way(path: Path) -> None:
    here = place(module_of(path))
    for name in imported(path):
        there = place(name)
        if here in WIDGETS:
            assert there == here or there not in ("params", "runner", *WIDGETS), name
        elif here != "__init__" and there != here:
            assert there in ORDER, name
            assert ORDER.index(there) < ORDER.index(here), f"{here} imports {name}, which is above"


def test_no_module_imports_itself_round_a_circle() -> None:
    graph = {module_of(path): imported(path) for path in MODULES if path.stem != "__init__"}
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail, module))
        if module not in done:
            for name in graph.get(module, ()):
                visit(name, (*trail, module))
            done.add(module)

    for module in graph:
        visit(module, ())


def test_every_module_lies_in_its_room() -> None:
    top = {path.stem for path in LIBRARY.glob("*.py")}
    assert top == {"__init__", *CORE}
    rooms = {path.parent.name for path in LIBRARY.glob("*/*.py")}
    assert rooms == {*BELOW, *ABOVE, *WIDGETS}
    assert not list(LIBRARY.glob("*/*/*.py"))


@pytest.mark.parametrize("room", [*BELOW, *ABOVE, *WIDGETS])
def test_every_room_says_what_it_is_for_and_names_all_its_modules(room: str) -> None:
    folder = LIBRARY / room
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    if room != "kernels":  # which is sealed behind one function
        names = {path.stem for path in folder.glob("[!_]*.py")}
        assert names <= set(dir(getattr(iale, room)))


def test_one_function_leads_into_the_kernels() -> None:
    inside = {
        module_of(path): {name for name in imported(path) if place(name) == "kernels"}
        for path in MODULES
        if path.parent.name != "kernels"
    }
    used = {user: names for user, names in inside.items() if names}
    assert used == {"ialelib.training": {"ialelib.kernels", "ialelib.kernels.stacked"}}


def test_tests_lie_in_folders_that_mirror_the_rooms() -> None:
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders <= {*BELOW, *ABOVE, *WIDGETS, "published", "soak"}


def test_the_map_lists_the_core_in_its_order_and_every_room() -> None:
    text = str(iale.__doc__)
    places = [text.index(f"    {name} ") for name in (*CORE, *ABOVE, *WIDGETS, *BELOW)]
    core = places[: len(CORE)]
    assert all(one < other for one, other in pairwise(core))


@pytest.mark.parametrize("name", sorted(set(dir(iale)) - {"__version__"}))
def test_every_public_name_can_be_had(name: str) -> None:
    assert getattr(iale, name) is not None


def test_importing_the_map_loads_nothing_and_no_import_runs_git(tmp_path: Path) -> None:
    (tmp_path / "git").write_text(f"#!/bin/sh\ntouch '{tmp_path}/asked'\n")
    (tmp_path / "git").chmod(0o755)
    code = (
        "import sys, ialelib\n"
        "heavy = {'torch', 'pandas', 'numba', 'matplotlib', 'IPython'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "import ialelib.results, ialelib.params.comparing, ialelib.params.learning\n"
        "import ialelib.demo.widget\n"
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    subprocess.run([sys.executable, "-c", code], env=os.environ | {"PATH": path}, check=True)
    assert not (tmp_path / "asked").exists()
