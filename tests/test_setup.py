"""One environment, described three times; the Makefile that creates it; what is shipped."""

import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from ialelib.data import SAMPLES

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
LOCK_LINES = [
    line
    for line in (ROOT / "requirements.lock").read_text().splitlines()
    if line.strip() and not line.startswith("#")
]


def brought(extra: str) -> Iterator[str]:
    """What an extra requires, and those that it names."""
    for text in PROJECT["optional-dependencies"][extra]:
        wanted = Requirement(text)
        if wanted.name == "ialelib":
            for name in wanted.extras:
                yield from brought(name)
        else:
            yield text


WANTED = sorted({*PROJECT["dependencies"], *brought("dev")})
PLATFORMS = {
    "linux": ("posix", "Linux", "x86_64"),
    "darwin": ("posix", "Darwin", "arm64"),
    "win32": ("nt", "Windows", "AMD64"),
}


def locked(name: str) -> list[Requirement]:
    pins = [Requirement(line) for line in LOCK_LINES]
    return [pin for pin in pins if canonicalize_name(pin.name) == canonicalize_name(name)]


def pinned(requirement: Requirement) -> Version:
    (specifier,) = requirement.specifier
    return Version(specifier.version)


def markers(python: str, platform: str) -> dict[str, str]:
    """What pip knows about a machine when it reads the lock."""
    os_name, system, machine = PLATFORMS[platform]
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "sys_platform": platform,
        "os_name": os_name,
        "platform_system": system,
        "platform_machine": machine,
    }


# The three descriptions


def is_exact(pin: Requirement) -> bool:
    (specifier,) = pin.specifier or SpecifierSet(">=0")
    return specifier.operator == "==" and not specifier.version.endswith("*")


def test_every_line_of_the_lock_is_an_exact_pin() -> None:
    assert not [line for line in LOCK_LINES if not is_exact(Requirement(line))]


@pytest.mark.parametrize("wanted", WANTED)
def test_lock_admits_every_requirement(wanted: str) -> None:
    requirement = Requirement(wanted)
    pins = locked(requirement.name)
    assert pins
    for pin in pins:
        assert requirement.specifier.contains(pinned(pin)), f"{pin} is not {wanted}"


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_lock_has_one_version_of_everything_on_each_machine(python: str, platform: str) -> None:
    here = markers(python, platform)
    pins = [Requirement(line) for line in LOCK_LINES]
    names = [pin.name for pin in pins if pin.marker is None or pin.marker.evaluate(here)]
    assert len(names) == len(set(names))
    missing = {canonicalize_name(Requirement(wanted).name) for wanted in WANTED} - set(names)
    assert not missing


def test_lock_refers_to_no_file_and_no_address() -> None:
    for line in LOCK_LINES:
        assert "/" not in line
        assert "@" not in line
        assert not line.startswith("-")


def conda_packages() -> dict[str, str]:
    """Name and version of what conda itself installs."""
    plain = [item for item in CONDA["dependencies"] if isinstance(item, str)]
    return {name: version for name, _, version in (item.partition("=") for item in plain)}


def test_conda_has_a_python_that_the_project_accepts() -> None:
    packages = conda_packages()
    assert set(packages) == {"python", "pip"}
    accepted = SpecifierSet(PROJECT["requires-python"])
    assert accepted.contains(Version(packages["python"]))
    assert not accepted.contains(Version("3.10"))


def test_conda_installs_the_lock_and_the_project_only() -> None:
    (pip,) = [item["pip"] for item in CONDA["dependencies"] if isinstance(item, dict)]
    assert sorted(pip) == ["-e .", "-r requirements.lock"]


def test_readme_says_what_each_extra_adds() -> None:
    rows = re.findall(r"^\| `(\w+)` \| ", section("Install"), re.MULTILINE)
    assert {*rows, "dev", "slurm"} == {*PROJECT["optional-dependencies"]}


def section(title: str) -> str:
    text = (ROOT / PROJECT["readme"]).read_text()
    return text.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_all_brings_every_extra_of_users() -> None:
    for extra in ("embeddings", "notebooks", "batch", "demo"):
        assert set(brought(extra)) <= set(brought("all"))


# The Makefile


def plan(folder: Path, target: str) -> list[str]:
    """The commands that `make TARGET` would run, without running them."""
    # Under `make test` the outer make's flags and overrides would be inherited.
    environment = {key: value for key, value in os.environ.items() if "MAKE" not in key}
    environment.pop("MFLAGS", None)
    command = ["make", "--dry-run", target]
    result = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """What make looks at in a fresh clone: no `.venv`."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def first(lines: list[str], part: str) -> int:
    return next(number for number, line in enumerate(lines) if part in line)


@pytest.mark.parametrize(
    ("target", "program"),
    [
        ("reproduce", "-m ialelib.runner.console"),
        ("test", "-m pytest"),
        ("lab", ".venv/bin/jupyter"),
    ],
)
def test_target_creates_the_missing_environment_first(
    clone: Path, target: str, program: str
) -> None:
    lines = plan(clone, target)
    steps = [
        first(lines, "-m venv"),
        first(lines, "-r requirements.lock"),
        first(lines, "-e ."),
        first(lines, program),
    ]
    assert steps == sorted(steps)


@pytest.mark.parametrize("target", ["reproduce", "test", "lab"])
@pytest.mark.parametrize(("lock_time", "created"), [(1_000, False), (3_000, True)])
def test_environment_is_created_again_for_a_newer_lock(
    clone: Path, target: str, lock_time: int, created: bool
) -> None:
    ready = clone / ".venv" / "ready"
    ready.parent.mkdir()
    ready.touch()
    for path, seconds in (("pyproject.toml", 1_000), ("requirements.lock", lock_time)):
        os.utime(clone / path, (seconds, seconds))
    os.utime(ready, (2_000, 2_000))
    assert any("-m venv" in line for line in plan(clone, target)) is created


def test_clean_removes_the_environment_and_creates_none(clone: Path) -> None:
    lines = plan(clone, "clean")
    assert any(line.startswith("rm -rf") and ".venv" in line.split() for line in lines)
    assert not any("-m venv" in line for line in lines)


def hidden(name: str, folder: Path) -> Path:
    """A cache inside a folder of a user's, with a file of value beside it."""
    mine = folder / name
    (mine / "__pycache__").mkdir(parents=True)
    (mine / "__pycache__" / "note.txt").write_text("mine")
    (mine / "labels.sqlite").write_text("mine")
    return mine


USERS = ["labels copy", "runs backup", 'it\'s "mine"', "two\nlines", "labels", "runs"]


def test_clean_removes_our_caches_and_nothing_of_the_users(tmp_path: Path) -> None:
    for name in ("ialelib", "tests", "benchmarks", "notebooks"):
        (tmp_path / name / "room" / "__pycache__").mkdir(parents=True)
        (tmp_path / name / "room" / "__pycache__" / "x.pyc").touch()
    (tmp_path / "notebooks" / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".venv").mkdir()
    shutil.copy(ROOT / "Makefile", tmp_path)
    folders = [hidden(name, tmp_path) for name in [*USERS, "x.egg-info"]]
    folders += [hidden(name, tmp_path / "notebooks") for name in ("labels copy", "runs")]
    before = {path for folder in folders for path in folder.rglob("*")}
    subprocess.run(["make", "clean"], cwd=tmp_path, check=True, capture_output=True)
    assert {path for folder in folders for path in folder.rglob("*")} == before
    assert len(before) == 3 * len(folders)
    kept = {path for folder in folders for path in folder.rglob("__pycache__")}
    assert {*tmp_path.rglob("__pycache__")} == kept
    assert not (tmp_path / ".venv").exists()
    assert not (tmp_path / "notebooks" / ".ipynb_checkpoints").exists()


@pytest.mark.parametrize("tool", ["ruff check", "ruff format --check", "mypy", "--nbval"])
def test_make_test_runs_every_check(clone: Path, tool: str) -> None:
    assert any(tool in line for line in plan(clone, "test"))


def test_ci_calls_make_test() -> None:
    script = ROOT / ".ci" / "run"
    commands = [line.strip() for line in script.read_text().splitlines()]
    assert {"make test", "exec make test"} & set(commands)
    assert os.access(script, os.X_OK)


# What is shipped


@pytest.mark.parametrize("command", ["make reproduce", "make test"])
def test_readme_shows_the_two_commands_at_its_top(command: str) -> None:
    top = (ROOT / PROJECT["readme"]).read_text().splitlines()[:40]
    assert any(command in line for line in top)


@pytest.mark.parametrize("name", ["mnist-10k", "fmnist-10k"])
def test_shipped_sample_equals_the_one_in_the_data_folder(name: str) -> None:
    folder = os.environ.get("IALE_DATA")
    path = Path(folder or "") / f"{name}.npz"
    if not folder or not path.exists():
        pytest.skip(f"IALE_DATA names no folder with {name}.npz")
    with np.load(path) as original, np.load(SAMPLES / path.name) as shipped:
        assert set(original.files) == set(shipped.files)
        for key in original.files:
            np.testing.assert_array_equal(original[key], shipped[key])


def shipped_images() -> dict[str, Any]:
    return {path.name: path for path in sorted(SAMPLES.glob("*.npz"))}


def test_only_the_two_samples_are_shipped() -> None:
    assert list(shipped_images()) == ["fmnist-10k.npz", "mnist-10k.npz"]


@pytest.mark.parametrize("name", shipped_images())
def test_shipped_sample_states_source_and_licence(name: str) -> None:
    lines = (SAMPLES / "README.md").read_text().splitlines()
    (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
    _, _, _, source, licence, _ = (cell.strip() for cell in row.split("|"))
    assert source
    assert licence
