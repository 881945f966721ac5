"""Algorithm 1 as a whole: training that repeats, extends, and survives `kill -9`."""

import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from toys import TINY, assert_same_episode, assert_same_run, episodes, same_policy

from ialelib import dagger
from ialelib.dagger import run_folder, train_policy
from ialelib.data import DataSet, toy_gaussians
from ialelib.policy import Policy
from ialelib.recipes import RECIPES
from ialelib.utils import tensors
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parent.parent
Run = tuple[Policy, pd.DataFrame, Path]


@pytest.fixture(scope="module")
def done(toy: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An uninterrupted run; tests only read it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return (*train_policy(toy, TINY, folder), folder)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagger, "fit_many", lambda *_: pytest.fail("a classifier was trained"))


def test_every_episode_starts_elsewhere(done: Run) -> None:
    for one, other in pairwise(episodes(done[2])):
        assert not torch.equal(one.labelled_mean_A_D[0], other.labelled_mean_A_D[0])


def test_the_history_has_a_row_for_every_episode(done: Run) -> None:
    assert done[1]["episode"].tolist() == [1, 2, 3, 4]
    assert done[1][list(TINY.experts)].sum(axis=1).tolist() == pytest.approx([1] * 4)


def test_two_processes_give_the_same_run_as_one(toy: DataSet, done: Run, tmp_path: Path) -> None:
    train_policy(toy, TINY, tmp_path, processes=2)
    assert_same_run(tmp_path, done[2])


CHILD = """
import sys; from pathlib import Path; sys.path.insert(0, "tests")
import test_dagger as t
t.train_policy(t.toy_gaussians(300, 200), t.TINY, Path(sys.argv[1]))
"""


def test_a_killed_run_resumes_to_the_same_result(toy: DataSet, done: Run, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=PROJECT)
    while child.poll() is None and not list(tmp_path.rglob("episode-*")):
        time.sleep(0.001)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert 1 <= len(list(tmp_path.rglob("episode-*"))) < 4, "killed too late to prove anything"
    assert same_policy(train_policy(toy, TINY, tmp_path)[0], done[0])
    assert_same_run(tmp_path, done[2])


@pytest.fixture
def copied(done: Run, tmp_path: Path) -> Path:
    shutil.copytree(done[2], tmp_path, dirs_exist_ok=True)
    return tmp_path


def test_a_finished_run_trains_nothing(
    toy: DataSet, copied: Path, done: Run, no_training: None
) -> None:
    assert same_policy(train_policy(toy, TINY, copied)[0], done[0])


def test_more_episodes_extend_the_same_run(toy: DataSet, done: Run, tmp_path: Path) -> None:
    train_policy(toy, replace(TINY, episodes=1), tmp_path)
    train_policy(toy, TINY, tmp_path)
    for one, other in zip(episodes(tmp_path), episodes(done[2]), strict=True):
        assert_same_episode(one, other)


@pytest.mark.parametrize(
    "change", [{"p": 0.4, "seed": 6}, {"target": "weighted"}, {"ranking": "warm"}, {"per_round": 2}]
)
def test_a_run_with_other_parameters_leaves_the_first_as_it_is(
    toy: DataSet, copied: Path, done: Run, change: dict[str, Any]
) -> None:
    train_policy(toy, replace(TINY, episodes=2, **change), copied)
    assert len(list(copied.iterdir())) == 2
    for path in run_folder(done[2], toy, TINY).iterdir():
        assert (run_folder(copied, toy, TINY) / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("ranking", "anew"), [("warm", True), ("scratch", False)])
def test_a_run_ranked_by_another_warm_recipe_is_another_run(
    toy: DataSet, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ranking: Any, anew: bool
) -> None:
    config = replace(TINY, ranking=ranking)
    before = run_folder(tmp_path, toy, config)
    monkeypatch.setitem(RECIPES, "warm", replace(RECIPES["warm"], lr=0.5))
    assert (run_folder(tmp_path, toy, config) != before) is anew


def test_without_a_folder_nothing_is_kept(
    toy: DataSet, done: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert same_policy(train_policy(toy, TINY)[0], done[0])
    assert list(tmp_path.iterdir()) == []


def test_other_parameters_have_a_folder_of_their_own(toy: DataSet, tmp_path: Path) -> None:
    first = run_folder(tmp_path, toy, TINY)
    assert first.parent == tmp_path
    assert run_folder(tmp_path, toy, replace(TINY, episodes=9)) == first
    others = [replace(TINY, p=0.4), replace(TINY, seed=6), replace(TINY, ranking="warm")]
    folders = {run_folder(tmp_path, toy, other) for other in others}
    other_data = toy_gaussians(300, 200, overlap=0.6)
    assert len(folders | {first, run_folder(tmp_path, other_data, TINY)}) == 5


@pytest.mark.parametrize("name", ["episode-002.safetensors", "policy-002.safetensors"])
def test_a_damaged_checkpoint_is_set_aside_and_made_again(
    toy: DataSet, copied: Path, done: Run, name: str
) -> None:
    path = run_folder(copied, toy, TINY) / name
    damaged = bytearray(path.read_bytes())
    damaged[-50] ^= 1
    path.write_bytes(damaged)
    with pytest.warns(UserWarning, match=f"{name} is damaged: kept as {name}.damaged"):
        assert same_policy(train_policy(toy, TINY, copied)[0], done[0])
    assert path.with_name(f"{name}.damaged").read_bytes() == damaged
    tensors.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"p": 1.5}, "p must lie in"),
        ({"p": "decya"}, "p must lie in"),
        ({"experts": ()}, "experts must be one or more"),
        ({"experts": ("badge", "badge")}, "different names"),
        ({"experts": ("bagde",)}, "unknown expert 'bagde'; did you mean 'badge'"),
        ({"experts": ("mc_dropout",)}, "mc_dropout needs a classifier with dropout"),
        ({"episodes": 0}, "at least 1"),
        ({"per_round": 0}, "at least 1"),
        ({"ranking": "wram"}, "unknown ranking 'wram'; did you mean 'warm'"),
        ({"validation": 0}, "at least 1"),
        ({"cycle": replace(TINY.cycle, budget=260)}, "budget 260 .*'toy' has 300"),
        ({"cycle": replace(TINY.cycle, budget=15)}, "no acquisition"),
    ],
)
def test_unusable_parameters_are_refused_before_training(
    toy: DataSet, tmp_path: Path, no_training: None, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train_policy(toy, replace(TINY, **change), tmp_path)
    assert list(tmp_path.iterdir()) == []
