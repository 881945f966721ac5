"""The record of an episode: the policy's targets, the file."""

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ialelib.rollout import TENSORS, Rollout, examples, load_rollout, save_rollout
from ialelib.state import State
from ialelib.utils import tensors
from ialelib.utils.errors import InputError

A, E, N, V, C, D = 3, 2, 4, 10, 2, 5


def marks(hits: int) -> list[bool]:
    """What a classifier with that many hits gets right."""
    return [True] * hits + [False] * (V - hits)


def episode(scores: list[list[int]], winner: list[int]) -> Rollout:
    """Three acquisitions by two experts: the first takes samples 0 and 1, the second 1 and 3."""
    rng = torch.Generator().manual_seed(0)
    chosen_E_N = torch.tensor([[1, 1, 0, 0], [0, 1, 0, 1]], dtype=torch.bool)
    return Rollout(
        torch.rand(A, D, generator=rng),
        torch.rand(A, C, generator=rng),
        torch.rand(A, C, generator=rng),
        torch.rand(A, N, D, generator=rng),
        torch.randn(A, N, C, generator=rng),
        torch.randn(A, C, D, generator=rng),
        chosen_A_E_N=chosen_E_N.expand(A, E, N),
        correct_A_E_V=torch.tensor([[marks(hits) for hits in row] for row in scores]),
        winner_A=torch.tensor(winner),
        acted_A=torch.tensor([False, True, False]),
        labels_A=torch.tensor([20, 22, 24]),
        experts=("entropy", "coreset"),
        seconds=1 / 3,
    )


CLEAR = episode([[9, 1], [1, 9], [9, 1]], winner=[0, 1, 0])
EQUAL = episode([[6, 6], [6, 6], [6, 6]], winner=[0, 1, 0])
PERFECT = episode([[10, 10], [10, 10], [10, 10]], winner=[0, 1, 0])


def targets(rollout: Rollout, **kind: str) -> Tensor:
    return torch.stack([e.target_N for e in examples([rollout], **kind)])  # type: ignore[arg-type]


def test_best_targets_are_the_winners_batch() -> None:
    assert targets(EQUAL).tolist() == [[1, 1, 0, 0], [0, 1, 0, 1], [1, 1, 0, 0]]


def test_weighted_targets_of_equal_scores_are_the_plain_average() -> None:
    assert targets(EQUAL, target="weighted").tolist() == [[0.5, 1, 0, 0.5]] * 3


def test_weighted_targets_survive_scores_without_spread() -> None:
    # All right or all wrong leaves a standard error of zero to divide by.
    assert targets(PERFECT, target="weighted").tolist() == [[0.5, 1, 0, 0.5]] * 3


def test_weighted_targets_follow_an_expert_that_is_far_ahead() -> None:
    # A validation set this large leaves no doubt about who is best.
    certain = replace(CLEAR, correct_A_E_V=CLEAR.correct_A_E_V.repeat(1, 1, 100))
    torch.testing.assert_close(targets(certain, target="weighted"), targets(certain))


def test_weighted_targets_are_a_soft_max_in_standard_errors() -> None:
    rollout = episode([[7, 5], [4, 4], [6, 5]], winner=[0, 0, 0])
    error = np.sqrt(0.6 * 0.4 / V)
    odds = np.exp(np.array([0.7, 0.5]) / error)
    first, second = odds / odds.sum()
    found = targets(rollout, target="weighted")[0].tolist()
    assert found == pytest.approx([first, 1, 0, second], rel=1e-5)


def test_weighted_targets_of_a_batch_add_up_to_its_size() -> None:
    rollout = episode([[7, 5], [4, 4], [2, 9]], winner=[0, 0, 1])
    assert targets(rollout, target="weighted").sum(1).tolist() == pytest.approx([2, 2, 2])


@pytest.mark.parametrize("name", [field.name for field in fields(State)])
def test_examples_hold_the_states_in_order(name: str) -> None:
    tensor = re.sub("((_[A-Z])+)$", r"_A\1", name)  # logits_N_C becomes logits_A_N_C
    other = replace(EQUAL, **{tensor: getattr(EQUAL, tensor) + 1})
    states = [example.state for example in examples([CLEAR, other])]
    found, expected = [getattr(state, name) for state in states], getattr(CLEAR, tensor)
    assert torch.equal(torch.stack(found), torch.cat([expected, expected + 1]))


def test_scores_are_the_accuracy_on_the_validation_set() -> None:
    assert CLEAR.score_A_E().flatten().tolist() == pytest.approx([0.9, 0.1, 0.1, 0.9, 0.9, 0.1])


def test_scores_on_a_prefix_of_the_validation_set() -> None:
    # 7 hits come first: all of the first 5, 7 of the first 8.
    rollout = episode([[7, 5], [7, 5], [7, 5]], winner=[0, 0, 0])
    assert rollout.score_A_E(5)[0].tolist() == [1, 1]
    assert rollout.score_A_E(8)[0].tolist() == [7 / 8, 5 / 8]


def test_a_rollout_comes_back_from_its_file_exactly(tmp_path: Path) -> None:
    save_rollout(CLEAR, tmp_path / "episode.safetensors")
    back = load_rollout(tmp_path / "episode.safetensors")
    assert (back.experts, back.seconds, len(back)) == (CLEAR.experts, CLEAR.seconds, A)
    for name in TENSORS:
        was, now = getattr(CLEAR, name), getattr(back, name)
        assert now.dtype == was.dtype
        assert torch.equal(now, was)


@pytest.mark.parametrize("keep", [0, 5, -1])
def test_a_damaged_file_is_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "episode-003.safetensors"
    save_rollout(CLEAR, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"episode-003\.safetensors is not a readable episode"):
        load_rollout(path)


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "episode-003.safetensors"
    tensors.save({"weights": torch.zeros(2)}, {"experts": '["entropy"]', "seconds": "1"}, path)
    with pytest.raises(InputError, match=r"episode-003\.safetensors is not a readable episode"):
        load_rollout(path)


def test_an_unfinished_write_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("ialelib.utils.tensors.save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        save_rollout(CLEAR, tmp_path / "episode.safetensors")
    assert list(tmp_path.iterdir()) == []
