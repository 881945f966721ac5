"""What every published table says about itself."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pandas as pd
import pytest
from test_base import TOY

from ialelib.params.learning import ToyGaussians
from ialelib.results import provenance, publish
from ialelib.utils import cache
from ialelib.utils import machine as machine_module
from ialelib.utils.machine import CHECKOUT, machine

TABLE = "01_toy_gaussians_curves.csv"
CURVES = pd.DataFrame({"dataset": "toy", "seed": [0, 1], "accuracy": [0.1, 1 / 3]})


def settings(**change: object) -> ToyGaussians:
    return ToyGaussians.checked(TOY | change)


def test_a_table_is_published_whole_but_for_its_seconds(tmp_path: Path) -> None:
    mine = settings(figures=str(tmp_path))
    publish(CURVES.assign(fit_seconds=1.5, seconds=2), mine, "curves")
    back = cache.read_table(tmp_path / TABLE)
    pd.testing.assert_frame_equal(back[list(CURVES)], CURVES)
    added = [name for name in back if name not in CURVES]
    assert added == ["profile", "params", "commit", "core", "machine", "versions"]
    assert list(tmp_path.iterdir()) == [tmp_path / TABLE]


def test_seconds_that_a_table_is_about_are_kept(tmp_path: Path) -> None:
    mine = settings(figures=str(tmp_path))
    publish(CURVES.assign(seconds=0.1 + 0.2), mine, "curves", timings=True)
    assert list(cache.read_table(tmp_path / TABLE)["seconds"]) == [0.1 + 0.2] * 2


def test_a_row_keeps_the_commit_that_it_came_from(tmp_path: Path) -> None:
    publish(CURVES.assign(commit=["one", "two"]), settings(figures=str(tmp_path)), "curves")
    back = cache.read_table(tmp_path / TABLE)
    assert list(back["commit"]) == ["one", "two"]
    assert list(back["seed"]) == [0, 1]


def test_a_table_without_seeds_names_all_that_went_into_it(tmp_path: Path) -> None:
    publish(CURVES[["accuracy"]], settings(figures=str(tmp_path), seeds=[3, 5]), "curves")
    assert set(cache.read_table(tmp_path / TABLE)["seed"]) == {"3; 5"}


def test_a_summary_names_all_that_it_sums_up(tmp_path: Path) -> None:
    curves = CURVES.assign(commit=["one", "two"])
    summary = pd.DataFrame({"dataset": ["toy"], "gain": [0.5]})
    publish(summary, settings(figures=str(tmp_path)), "curves", of=curves)
    (row,) = cache.read_table(tmp_path / TABLE)[["dataset", "seed", "commit"]].to_dict("records")
    assert row == {"dataset": "toy", "seed": "0; 1", "commit": "one; two"}


def test_digest_follows_what_is_found_and_not_where() -> None:
    digest = provenance(settings())["params"]
    assert provenance(settings(seeds=[5]))["params"] != digest
    assert provenance(settings(overlap=0.25))["params"] != digest
    assert provenance(settings(runs="runs/x", figures="figures/x", processes=7))["params"] == digest


@pytest.mark.parametrize(
    ("figures", "profile"),
    [("figures/cpu", "cpu"), ("figures/cpu/kmnist", "cpu"), ("/elsewhere", "own"), ("x/y", "own")],
)
def test_profile_is_that_of_the_figures(figures: str, profile: str) -> None:
    assert provenance(settings(figures=figures))["profile"] == profile


def test_versions_are_those_installed() -> None:
    assert f"torch {version('torch')}" in provenance(settings())["versions"]


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_commit_tells_a_changed_checkout_from_a_clean_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = machine_module.commit.__wrapped__  # without its memory
    monkeypatch.setattr(machine_module, "CHECKOUT", tmp_path)
    assert commit() == "unknown"
    code = tmp_path / "ialelib" / "x.py"
    code.parent.mkdir()
    code.write_text("1")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_index.ipynb").touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "another project's")
    assert commit() == "unknown"
    git(tmp_path, "add", "ialelib")
    git(tmp_path, "commit", "--quiet", "-m", "a copy in another project")
    assert commit() == "unknown"
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    assert commit() == git(tmp_path, "rev-parse", "--short=10", "HEAD")
    (tmp_path / "figure.png").write_text("new")
    assert not commit().endswith("+")
    code.write_text("2")
    assert commit().endswith("+")


@pytest.mark.skipif(os.getuid() != 0, reason="only root may give files to another user")
def test_a_checkout_of_another_users_has_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine_module, "CHECKOUT", tmp_path)
    for name in machine_module.FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "x")
    head = git(tmp_path, "rev-parse", "--short=10", "HEAD")
    for path in (tmp_path, tmp_path / ".git"):
        os.chown(path, 12345, 12345)
    with pytest.raises(subprocess.CalledProcessError):  # "dubious ownership"
        git(tmp_path, "status")
    assert machine_module.commit.__wrapped__() == head


USE = """
import pkgutil, importlib, torch, ialelib
for module in pkgutil.walk_packages(ialelib.__path__, "ialelib."):
    importlib.import_module(module.name)
labelled = torch.arange(10)
ialelib.next_batch(embeddings=torch.randn(50, 4), labelled=labelled, labels=labelled % 2, acq=3)
"""


def test_neither_imports_nor_a_batch_ask_git(tmp_path: Path) -> None:
    fake = tmp_path / "git"
    fake.write_text(f"#!/bin/sh\ntouch {tmp_path}/asked\n")
    fake.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(CHECKOUT)}
    subprocess.run([sys.executable, "-c", USE], env=os.environ | path, cwd=tmp_path, check=True)
    assert not (tmp_path / "asked").exists()
    asking = "from ialelib.utils.machine import commit; assert commit() == 'unknown'"
    subprocess.run([sys.executable, "-c", asking], env=os.environ | path, cwd=tmp_path, check=True)
    assert (tmp_path / "asked").exists() is (CHECKOUT / ".git").exists()


def test_the_commit_is_this_packages_wherever_git_is_told_to_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "-m", "x")
    monkeypatch.chdir(tmp_path)
    before = machine_module.commit.__wrapped__()
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))
    assert machine_module.commit.__wrapped__() == before
    assert not before.startswith(git(tmp_path, "rev-parse", "--short=10", "HEAD"))


def test_machine_has_a_name_and_its_cores() -> None:
    name, cores = machine().rsplit(", ", 1)
    assert name
    assert int(cores.removesuffix(" cores")) > 0
