"""Algorithm 1: roll-outs, the coin, and training that survives `kill -9`."""

import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from ialelib import dagger, rollout
from ialelib.cycle import Cycle, Setting
from ialelib.dagger import Imitation, roll_out, train
from ialelib.data import DataSet, toy_gaussians
from ialelib.errors import InputError
from ialelib.policy import Policy, PolicyRecipe, load
from ialelib.rollout import TENSORS, Rollout
from ialelib.seeds import derive
from ialelib.training import correct, fit, recipe

TOY = Setting("toy_mlp", initial=10, budget=40, acq=10, n=30, recipe="toy")
TINY = Imitation(
    TOY,
    experts=("entropy", "coreset", "badge"),
    episodes=4,
    validation=50,
    policy=PolicyRecipe(epochs=3),
    seed=5,
)
PROJECT = Path(__file__).parent.parent
Run = tuple[Policy, pd.DataFrame, Path]


@pytest.fixture(scope="module")
def toy() -> DataSet:
    return toy_gaussians(300, 100)


@pytest.fixture(scope="module")
def done(toy: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """An undisturbed run; tests only read it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return (*train(toy, TINY, folder), folder)


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dagger, "fit_many", lambda *_: pytest.fail("a classifier was trained"))


def episodes(folder: Path) -> list[Rollout]:
    return [rollout.load(path) for path in sorted(folder.glob("episode-*.safetensors"))]


def same_policy(one: Policy, other: Policy) -> bool:
    return (one.fingerprint(), one.about) == (other.fingerprint(), other.about)


def assert_same_run(one: Path, other: Path) -> None:
    """Every tensor of every episode and policy, bit for bit."""
    for a, b in zip(episodes(one), episodes(other), strict=True):
        assert a.experts == b.experts
        for name in TENSORS:
            assert torch.equal(getattr(a, name), getattr(b, name)), name
    for path in other.glob("policy-*"):
        assert same_policy(load(one / path.name), load(path)), path.name


def policy(seed: int = 0) -> Policy:
    torch.manual_seed(seed)
    return Policy(2, 16).eval()


@pytest.fixture(scope="module")
def first(done: Run) -> Rollout:
    return episodes(done[2])[0]


def test_every_expert_marks_a_batch_and_labels_grow_by_its_size(first: Rollout) -> None:
    assert first.experts == TINY.experts
    assert first.chosen_A_E_N.sum(2).tolist() == [[10] * 3] * 3
    assert first.labels_A.tolist() == [10, 20, 30]


def test_the_winner_has_the_highest_score(done: Run) -> None:
    for one in episodes(done[2]):
        score_A_E = one.score_A_E()
        assert torch.equal(score_A_E.gather(1, one.winner_A[:, None])[:, 0], score_A_E.amax(1))


def test_scores_are_those_of_classifiers_trained_with_each_batch(
    toy: DataSet, first: Rollout
) -> None:
    cycle = Cycle(toy, TOY, derive(TINY.seed, "episode", 1), TINY.validation)
    sub_pool = cycle.sub_pool()
    inputs, labels = toy.train_inputs[cycle.validation], toy.train_labels[cycle.validation]
    for e in range(3):
        model = fit(cycle.job(sub_pool[first.chosen_A_E_N[0, e].numpy()]))
        expected = correct(model, inputs, labels, recipe("toy"))
        assert first.correct_A_E_V[0, e].tolist() == expected.tolist()


def test_the_winners_batch_is_labelled_next(toy: DataSet, first: Rollout) -> None:
    # The label frequencies of the second state are those after the first winner's batch.
    cycle = Cycle(toy, TOY, derive(TINY.seed, "episode", 1), TINY.validation)
    won = first.chosen_A_E_N[0, first.winner_A[0]].numpy()
    cycle.pool.label(cycle.sub_pool()[won])
    share = np.bincount(toy.train_labels[cycle.pool.labelled], minlength=2) / 20
    assert first.label_frequency_A_C[1].tolist() == pytest.approx(share)


def test_the_policys_batch_is_labelled_next_when_it_acts(toy: DataSet) -> None:
    always = replace(TINY, p=0.0)
    one, other = (roll_out(toy, always, 2, policy(seed)) for seed in (0, 1))
    assert torch.equal(one.probs_A_N_C[0], other.probs_A_N_C[0])
    assert not torch.equal(one.probs_A_N_C[1], other.probs_A_N_C[1])


@pytest.mark.parametrize(
    ("p", "episode", "acts"), [(1.0, 2, False), (0.0, 2, True), (0.0, 1, False)]
)
def test_the_policy_acts_always_or_never_at_the_ends_but_never_in_the_first_episode(
    toy: DataSet, p: float, episode: int, acts: bool
) -> None:
    acted_A = roll_out(toy, replace(TINY, p=p), episode, policy()).acted_A
    assert acted_A.tolist() == [acts] * 3


def test_the_coin_is_tossed_at_every_acquisition(toy: DataSet) -> None:
    acted = [roll_out(toy, TINY, episode, policy()).acted_A.tolist() for episode in range(2, 6)]
    assert any(len(set(episode)) == 2 for episode in acted)


@pytest.mark.parametrize(
    ("p", "expected"), [(0.3, [1, 0.3, 0.3, 0.3]), ("decay", [1, 0.81, 0.729, 0.6561])]
)
def test_the_probability_of_following_the_expert(p: Any, expected: list[float]) -> None:
    imitation = replace(TINY, p=p)
    assert [imitation.expert_probability(e) for e in range(1, 5)] == pytest.approx(expected)


def test_every_episode_starts_elsewhere(done: Run) -> None:
    for one, other in pairwise(episodes(done[2])):
        assert not torch.equal(one.labelled_mean_A_D[0], other.labelled_mean_A_D[0])


def test_the_history_has_a_row_for_every_episode(done: Run) -> None:
    assert done[1]["episode"].tolist() == [1, 2, 3, 4]
    assert done[1][list(TINY.experts)].sum(axis=1).tolist() == pytest.approx([1] * 4)


def test_two_processes_give_the_same_run_as_one(toy: DataSet, done: Run, tmp_path: Path) -> None:
    train(toy, TINY, tmp_path, processes=2)
    assert_same_run(tmp_path, done[2])


CHILD = """
import sys; from pathlib import Path; sys.path.insert(0, "tests")
import test_dagger as t
t.train(t.toy_gaussians(300, 100), t.TINY, Path(sys.argv[1]))
"""


def test_a_killed_run_resumes_to_the_same_result(toy: DataSet, done: Run, tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], cwd=PROJECT)
    while child.poll() is None and not list(tmp_path.glob("episode-*")):
        time.sleep(0.001)
    child.kill()
    assert child.wait() == -signal.SIGKILL
    assert 1 <= len(list(tmp_path.glob("episode-*"))) < 4, "killed too late to prove anything"
    assert same_policy(train(toy, TINY, tmp_path)[0], done[0])
    assert_same_run(tmp_path, done[2])


@pytest.fixture
def copied(done: Run, tmp_path: Path) -> Path:
    for path in done[2].iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path


def test_a_finished_run_trains_nothing(
    toy: DataSet, copied: Path, done: Run, no_training: None
) -> None:
    assert same_policy(train(toy, TINY, copied)[0], done[0])


def test_more_episodes_extend_the_same_run(toy: DataSet, done: Run, tmp_path: Path) -> None:
    train(toy, replace(TINY, episodes=1), tmp_path)
    train(toy, TINY, tmp_path)
    for a, b in zip(episodes(tmp_path), episodes(done[2]), strict=True):
        assert all(torch.equal(getattr(a, name), getattr(b, name)) for name in TENSORS)


@pytest.mark.parametrize(
    ("change", "named"), [({"p": 0.4, "seed": 6}, "p, seed"), ({"target": "weighted"}, "target")]
)
def test_a_folder_with_other_parameters_is_refused(
    toy: DataSet, copied: Path, no_training: None, change: dict[str, Any], named: str
) -> None:
    with pytest.raises(InputError, match=rf"holds a run with other parameters \({named}\)"):
        train(toy, replace(TINY, **change), copied)


def test_a_folder_with_other_data_of_that_name_and_size_is_refused(
    copied: Path, no_training: None
) -> None:
    with pytest.raises(InputError, match="other parameters"):
        train(toy_gaussians(300, 100, overlap=0.6), TINY, copied)


@pytest.mark.parametrize(
    "name", ["episode-002.safetensors", "policy-002.safetensors", "imitation.json"]
)
def test_a_damaged_checkpoint_is_named(
    toy: DataSet, copied: Path, no_training: None, name: str
) -> None:
    (copied / name).write_bytes((copied / name).read_bytes()[:-50])
    with pytest.raises(InputError, match=f"{name} is not a readable"):
        train(toy, TINY, copied)


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
        ({"validation": 0}, "at least 1"),
        ({"setting": replace(TOY, budget=260)}, "budget 260 .*'toy' has 300"),
        ({"setting": replace(TOY, budget=15)}, "no acquisition"),
    ],
)
def test_unusable_parameters_are_refused_before_training(
    toy: DataSet, tmp_path: Path, no_training: None, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        train(toy, replace(TINY, **change), tmp_path)
    assert list(tmp_path.iterdir()) == []
