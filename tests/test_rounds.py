"""Rounds of several episodes with the same policy, one process each."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from toys import TINY, assert_same_episode, assert_same_run, episodes, same_policy

from ialelib import dagger, policy, rollout
from ialelib.dagger import DaggerConfig, roll_out, train_policy
from ialelib.data import DataSet
from ialelib.models import Classifier
from ialelib.policy import Policy, load_policy
from ialelib.recipes import TrainJob
from ialelib.training import fit_many
from ialelib.utils.seeds import derive

# The policy acts whenever it may.
PAIRS = replace(TINY, per_round=2, p=0.0, cycle=replace(TINY.cycle, budget=30))
WARM = replace(PAIRS, ranking="warm")
Run = tuple[Policy, pd.DataFrame, Path]


def run(data: DataSet, config: DaggerConfig, folder: Path, **how: Any) -> Run:
    return (*train_policy(data, config, folder, **how), folder)


@pytest.fixture(scope="module")
def done(toy: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two rounds of two episodes; tests only read it."""
    return run(toy, PAIRS, tmp_path_factory.mktemp("pairs"))


@pytest.fixture
def copied(done: Run, tmp_path: Path) -> Path:
    shutil.copytree(done[2], tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def rolled_out(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of the episodes that are rolled out in this process."""
    numbers: list[int] = []

    def spy(*given: Any) -> rollout.Rollout:
        numbers.append(given[2])
        return roll_out(*given)

    monkeypatch.setattr(dagger, "roll_out", spy)
    return numbers


def kept(folder: Path, name: str) -> Path:
    """A checkpoint of the one run that is kept in a folder."""
    (path,) = folder.rglob(f"{name}.safetensors")
    return path


def files(folder: Path, kind: str) -> list[str]:
    return [path.stem for path in sorted(folder.rglob(f"{kind}-*.safetensors"))]


def test_only_experts_act_in_the_first_round_and_the_policy_may_in_the_next(done: Run) -> None:
    acted = [one.acted_A.tolist() for one in episodes(done[2])]
    assert acted == [[False, False]] * 2 + [[True, True]] * 2


def test_the_policy_is_fitted_once_a_round(done: Run) -> None:
    assert files(done[2], "episode") == [f"episode-00{number}" for number in range(1, 5)]
    assert files(done[2], "policy") == ["policy-002", "policy-004"]


def test_a_round_is_rolled_out_with_the_policy_fitted_after_the_round_before(
    toy: DataSet, done: Run
) -> None:
    saved = episodes(done[2])
    seed = derive(PAIRS.seed, "policy", 2)
    examples = rollout.examples(saved[:2], PAIRS.target)
    by_hand, losses = policy.fit_policy(examples, PAIRS.parts, PAIRS.policy, seed)
    assert by_hand.fingerprint() == load_policy(kept(done[2], "policy-002")).fingerprint()
    assert done[1]["loss"].tolist()[:2] == [losses[-1]] * 2
    for number, actor in ((1, None), (2, None), (3, by_hand), (4, by_hand)):
        assert_same_episode(roll_out(toy, PAIRS, number, actor), saved[number - 1])


def test_the_last_policy_is_fitted_to_all_episodes(done: Run) -> None:
    examples = rollout.examples(episodes(done[2]), PAIRS.target)
    seed = derive(PAIRS.seed, "policy", 4)
    by_hand, losses = policy.fit_policy(examples, PAIRS.parts, PAIRS.policy, seed)
    assert by_hand.fingerprint() == done[0].fingerprint()
    assert done[0].about["losses"] == losses
    assert done[0].about["episodes"] == 4


def test_the_history_has_a_row_for_every_episode(done: Run) -> None:
    history = done[1]
    assert history["episode"].tolist() == [1, 2, 3, 4]
    assert history["acted"].tolist() == [0, 0, 1, 1]
    assert history["loss"].nunique() == 2
    assert (history["seconds"] > 0).all()


@pytest.mark.parametrize("config", [PAIRS, WARM])
def test_two_processes_give_the_same_run_as_one(
    toy: DataSet, tmp_path: Path, config: DaggerConfig
) -> None:
    one, two = (
        run(toy, config, tmp_path / str(processes), processes=processes) for processes in (1, 2)
    )
    assert_same_run(one[2], two[2])
    assert same_policy(one[0], two[0])
    first, second = (history.drop(columns="seconds") for _, history, _ in (one, two))
    pd.testing.assert_frame_equal(first, second, check_exact=True)


@pytest.mark.parametrize(
    ("lost", "processes"),
    [
        (["episode-004", "policy-004"], 1),
        (["episode-001", "policy-002", "episode-003", "episode-004", "policy-004"], 1),
        (["episode-003", "episode-004", "policy-004"], 2),
        (["policy-002", "policy-004"], 1),
        (["episode-003"], 2),
    ],
)
def test_an_interrupted_run_resumes_to_the_same_result(
    toy: DataSet,
    done: Run,
    copied: Path,
    rolled_out: list[int],
    lost: list[str],
    processes: int,
) -> None:
    for name in lost:
        kept(copied, name).unlink()
    again = run(toy, PAIRS, copied, processes=processes)
    assert same_policy(again[0], done[0])
    assert_same_run(copied, done[2])
    missing = [int(name[-3:]) for name in lost if name.startswith("episode")]
    assert processes == 2 or rolled_out == missing


def test_a_finished_run_rolls_nothing_out(
    toy: DataSet, done: Run, copied: Path, rolled_out: list[int]
) -> None:
    assert same_policy(run(toy, PAIRS, copied)[0], done[0])
    assert rolled_out == []


def test_a_last_round_may_be_shorter_and_more_episodes_fill_it_up(
    toy: DataSet, done: Run, tmp_path: Path
) -> None:
    noted: list[str] = []
    short = run(toy, replace(PAIRS, episodes=3), tmp_path, note=noted.append)
    assert [line.split(":")[0] for line in noted] == ["episode 2 of 3", "episode 3 of 3"]
    assert files(tmp_path, "policy") == ["policy-002", "policy-003"]
    assert len(short[1]) == 3
    assert run(toy, PAIRS, tmp_path)[0].fingerprint() == done[0].fingerprint()
    for one, other in zip(episodes(tmp_path), episodes(done[2]), strict=True):
        assert_same_episode(one, other)


def test_a_single_episode_left_uses_all_processes_for_its_classifiers(
    toy: DataSet, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []

    def spy(jobs: list[TrainJob], processes: int) -> list[Classifier]:
        asked.append(processes)
        return fit_many(jobs)

    monkeypatch.setattr(dagger, "fit_many", spy)
    for name in ("episode-004", "policy-004"):
        kept(copied, name).unlink()
    train_policy(toy, PAIRS, copied, processes=2)
    assert set(asked) == {2}
