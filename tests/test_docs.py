"""What README and docs point at exists: files, sections, commands, names of the library."""

import ast
import re
from functools import reduce
from pathlib import Path

import pytest
import yaml

import ialelib

ROOT = Path(__file__).parents[1]
FOLDERS = (
    ".",
    "docs",
    "benchmarks",
    "profiles/slurm",
    "ialelib/samples",
    "policies",
    "figures/cpu",
)
PAGES = sorted(path for folder in FOLDERS for path in (ROOT / folder).glob("*.md"))
LINK = re.compile(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)")
EXAMPLE = {"iale.params.Topic.of"}  # in CONTRIBUTING.md, a class that is to be written


def anchors(page: Path) -> set[str]:
    """The fragments by which GitHub names a page's sections."""
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def code_blocks(page: Path) -> list[str]:
    blocks = re.findall(r"^ *```python\n(.*?)^ *```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [re.sub(r"^   (?=\S)", "", block, flags=re.MULTILINE) for block in blocks]


def named(page: Path) -> set[str]:
    """Names such as `iale.plots.save` in a page's code."""
    trees = [node for block in code_blocks(page) for node in ast.walk(ast.parse(block))]
    inline = re.findall(r"`(iale(?:lib)?(?:\.\w+)+)", page.read_text())
    return {*map(ast.unparse, (n for n in trees if isinstance(n, ast.Attribute))), *inline}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files_and_sections(page: Path) -> None:
    for target, section in LINK.findall(page.read_text()):
        path = page.parent / target if target else page
        assert path.exists(), target
        assert not section or section in anchors(path), f"{target}#{section}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_names_of_the_library_exist(page: Path) -> None:
    for name in sorted(named(page) - EXAMPLE):
        package, *rest = name.split(".")
        if package in ("iale", "ialelib"):
            assert reduce(getattr, rest, ialelib), name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_make_targets_exist(page: Path) -> None:
    rules = re.findall(r"^([a-z0-9 ]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    figures = yaml.safe_load((ROOT / "figures.yaml").read_text())
    targets = set(re.findall(r"^(?:\| )?`?make (\w+)", page.read_text(), re.MULTILINE))
    assert targets <= {*" ".join(rules).split(), *figures}


def test_readme_lists_the_core_in_reading_order() -> None:
    files = re.findall(r"\[(\w+)\]\(ialelib/(\w+)\.py\)", (ROOT / "README.md").read_text())
    assert all(name == file for name, file in files)
    assert {file for _, file in files} == {
        path.stem for path in (ROOT / "ialelib").glob("[!_]*.py")
    }


def test_contents_list_every_section_of_the_readme() -> None:
    text = (ROOT / "README.md").read_text()
    contents = re.findall(r"^\[.+\]\(#(.+)\)", text, re.MULTILINE)
    sections = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert contents == [
        title.lower().replace(" ", "-") for title in sections if title != "Contents"
    ]
