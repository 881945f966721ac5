"""One episode of Algorithm 1: what is tried, what is recorded, what is taken, who acts."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from toys import TINY, assert_same_episode, policy

from ialelib import dagger
from ialelib.cycle import Cycle
from ialelib.dagger import DaggerConfig, best_expert, roll_out
from ialelib.data import DataSet
from ialelib.experts import EXPERTS
from ialelib.models import Classifier
from ialelib.recipes import TrainJob, recipe
from ialelib.rollout import Rollout
from ialelib.state import encode, observe
from ialelib.training import correct_mask, fit, fit_many
from ialelib.utils.seeds import derive


def start(data: DataSet, config: DaggerConfig = TINY, number: int = 1) -> Cycle:
    """The cycle of an episode before its first acquisition."""
    seed = derive(config.seed, "episode", number)
    return Cycle(data, config.cycle, seed, config.validation)


@pytest.fixture(scope="module")
def first(toy: DataSet) -> Rollout:
    return roll_out(toy, TINY, 1, None)


def test_every_expert_marks_a_batch_and_labels_grow_by_its_size(first: Rollout) -> None:
    assert first.experts == TINY.experts
    assert first.chosen_A_E_N.sum(2).tolist() == [[10] * 3] * 3
    assert first.labels_A.tolist() == [10, 20, 30]


def test_the_winner_has_the_highest_score(toy: DataSet, first: Rollout) -> None:
    for one in (first, *(roll_out(toy, TINY, number, None) for number in (2, 3))):
        score_A_E = one.score_A_E()
        assert torch.equal(score_A_E.gather(1, one.winner_A[:, None])[:, 0], score_A_E.amax(1))


def test_scores_are_those_of_classifiers_trained_with_each_batch(
    toy: DataSet, first: Rollout
) -> None:
    cycle = start(toy)
    sub_pool = cycle.sub_pool()
    inputs, labels = toy.train_inputs[cycle.validation], toy.train_labels[cycle.validation]
    for e in range(3):
        model = fit(cycle.job(sub_pool[first.chosen_A_E_N[0, e].numpy()]))
        expected = correct_mask(model, inputs, labels, recipe("toy"))
        assert first.correct_A_E_V[0, e].tolist() == expected.tolist()


def test_the_winners_batch_is_labelled_next(toy: DataSet, first: Rollout) -> None:
    # The label frequencies of the second state are those after the first winner's batch.
    cycle = start(toy)
    won = first.chosen_A_E_N[0, first.winner_A[0]].numpy()
    cycle.pool.label(cycle.sub_pool()[won])
    share = np.bincount(toy.train_labels[cycle.pool.labelled], minlength=2) / 20
    assert first.label_frequency_A_C[1].tolist() == pytest.approx(share)


@pytest.mark.parametrize("ranking", ["scratch", "warm"])
def test_every_state_is_that_of_a_classifier_trained_from_scratch(
    toy: DataSet, ranking: Any
) -> None:
    # Bit for bit, whether the winner's temporary classifier is taken over or not.
    config = replace(TINY, ranking=ranking)
    cycle, one = start(toy, config), roll_out(toy, config, 1, None)
    for a in range(3):
        sub_pool = cycle.sub_pool()
        state = observe(cycle.query(fit(cycle.job()), sub_pool))
        assert torch.equal(torch.as_tensor(state.logits_N_C), one.logits_A_N_C[a])
        assert torch.equal(encode(state), encode(one.state(a)))
        cycle.pool.label(sub_pool[one.chosen_A_E_N[a, one.winner_A[a]].numpy()])


def test_the_policys_batch_is_labelled_next_when_it_acts(toy: DataSet) -> None:
    always = replace(TINY, p=0.0)
    one, other = (roll_out(toy, always, 2, policy(seed)) for seed in (0, 1))
    assert torch.equal(one.logits_A_N_C[0], other.logits_A_N_C[0])
    assert not torch.equal(one.logits_A_N_C[1], other.logits_A_N_C[1])


@pytest.mark.parametrize("ranking", ["scratch", "warm"])
def test_the_policys_choice_is_what_is_trained_on_next(toy: DataSet, ranking: Any) -> None:
    always = replace(TINY, p=0.0, ranking=ranking)
    cycle, one = start(toy, always, 2), roll_out(toy, always, 2, policy(0))
    query = cycle.query(fit(cycle.job()), cycle.sub_pool())
    cycle.pool.label(cycle.sub_pool()[policy(0).select(query, 10, cycle.rng("policy"))])
    second = cycle.query(fit(cycle.job()), cycle.sub_pool())
    assert torch.equal(second.logits_N_C, one.logits_A_N_C[1])


@pytest.mark.parametrize(
    ("p", "number", "acts"), [(1.0, 2, False), (0.0, 2, True), (0.0, 1, False)]
)
def test_the_policy_acts_always_or_never_at_the_ends_but_never_in_the_first_episode(
    toy: DataSet, p: float, number: int, acts: bool
) -> None:
    acted_A = roll_out(toy, replace(TINY, p=p), number, policy(0)).acted_A
    assert acted_A.tolist() == [acts] * 3


def test_the_coin_is_tossed_at_every_acquisition(toy: DataSet) -> None:
    acted = [roll_out(toy, TINY, number, policy(0)).acted_A.tolist() for number in range(2, 6)]
    assert any(len(set(dagger)) == 2 for dagger in acted)


@pytest.mark.parametrize(
    ("p", "expected"), [(0.3, [1, 0.3, 0.3, 0.3]), ("decay", [1, 0.81, 0.729, 0.6561])]
)
def test_the_probability_of_following_the_expert(p: Any, expected: list[float]) -> None:
    config = replace(TINY, p=p)
    assert [config.expert_probability(e) for e in range(1, 5)] == pytest.approx(expected)


# What is trained


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[list[TrainJob]]:
    """The jobs of every call."""
    calls: list[list[TrainJob]] = []

    def spy(jobs: list[TrainJob], processes: int) -> list[Classifier]:
        calls.append(jobs)
        return fit_many(jobs, processes)

    monkeypatch.setattr(dagger, "fit_many", spy)
    return calls


@pytest.fixture
def twins(monkeypatch: pytest.MonkeyPatch) -> DaggerConfig:
    """Two of the three experts always choose the same batch."""
    monkeypatch.setitem(EXPERTS, "confidence", EXPERTS["entropy"])
    return replace(TINY, experts=("entropy", "coreset", "confidence"))


def sizes(calls: list[list[TrainJob]]) -> list[tuple[int, ...]]:
    """Labelled samples of each job."""
    return [tuple(len(job.labels) for job in jobs) for jobs in calls]


def test_equal_batches_are_trained_once_and_the_winners_classifier_is_kept(
    toy: DataSet, trained: list[list[TrainJob]], twins: DaggerConfig
) -> None:
    found = roll_out(toy, twins, 1, None)
    assert sizes(trained) == [(10,), (20, 20), (30, 30), (40, 40)]
    assert torch.equal(found.correct_A_E_V[:, 0], found.correct_A_E_V[:, 2])
    assert all(job.start is None for jobs in trained for job in jobs)


def test_the_policys_batch_is_trained_beside_the_experts_and_kept(
    toy: DataSet, trained: list[list[TrainJob]]
) -> None:
    roll_out(toy, replace(TINY, p=0.0), 2, policy(0))
    assert sizes(trained) == [(10,), (20,) * 4, (30,) * 4, (40,) * 4]


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_warm_ranking_tunes_each_batch_once_and_trains_the_next_from_scratch(
    toy: DataSet, trained: list[list[TrainJob]], twins: DaggerConfig, p: float
) -> None:
    # The policy's batch needs no score; after the last batch nothing is left to train.
    roll_out(toy, replace(twins, ranking="warm", p=p), 2, policy(0))
    assert sizes(trained) == [(10,), (20, 20), (20,), (30, 30), (30,), (40, 40)]
    for fresh, ranked in zip(trained[::2], trained[1::2], strict=True):
        assert [job.start for job in fresh] == [None]
        assert {job.recipe for job in fresh} == {recipe("toy")}
        assert {job.recipe for job in ranked} == {recipe("warm")}
        assert len({id(job.start) for job in ranked}) == 1
        assert ranked[0].start is not None


def test_warm_scores_are_those_of_the_current_classifier_tuned_with_each_batch(
    toy: DataSet,
) -> None:
    warm = replace(TINY, ranking="warm")
    cycle, found = start(toy, warm), roll_out(toy, warm, 1, None)
    inputs, labels = toy.train_inputs[cycle.validation], toy.train_labels[cycle.validation]
    assert found.correct_A_E_V.shape == (3, 3, 50)
    for a in range(3):
        sub_pool, current = cycle.sub_pool(), fit(cycle.job())
        for e in range(3):
            model = fit(cycle.job(sub_pool[found.chosen_A_E_N[a, e].numpy()], current))
            expected = correct_mask(model, inputs, labels, recipe("toy"))
            assert found.correct_A_E_V[a, e].tolist() == expected.tolist()
        cycle.pool.label(sub_pool[found.chosen_A_E_N[a, found.winner_A[a]].numpy()])


def test_ensemble_members_are_trained_from_scratch_in_both_rankings(
    small_digits: DataSet, trained: list[list[TrainJob]]
) -> None:
    config = replace(TINY.cycle, classifier="mlp", budget=30, recipe="warm")
    for ranking in ("scratch", "warm"):
        roll_out(small_digits, DaggerConfig(config, ("ensemble",), ranking=ranking), 1, None)
    assert sizes(trained) == [
        *[(10,) * 5, (20,), (20,) * 4, (30,)],
        *[(10,) * 5, (20,), (20,) * 5, (30,)],
    ]
    starts = [{job.start is None for job in jobs} for jobs in trained]
    assert starts == [{True}] * 5 + [{False}, {True}, {False}]


def test_two_processes_roll_out_the_same_episode(toy: DataSet) -> None:
    short = replace(TINY, ranking="warm", cycle=replace(TINY.cycle, budget=30))
    one, other = (roll_out(toy, short, 1, None, processes) for processes in (1, 2))
    assert_same_episode(one, other)


def test_a_single_best_expert_always_wins() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        assert best_expert(torch.tensor([0.1, 0.3, 0.2]), rng) == 1
        assert best_expert(torch.tensor([0.9, 0.8, 0.0]), rng) == 0


def test_ties_for_the_best_are_broken_at_random_among_the_best() -> None:
    rng, score_E = np.random.default_rng(0), torch.tensor([0.5, 0.7, 0.7, 0.1, 0.7])
    counts = np.bincount([best_expert(score_E, rng) for _ in range(3000)], minlength=5)
    assert counts[[0, 3]].tolist() == [0, 0]
    assert chisquare(counts[[1, 2, 4]]).pvalue > 1e-3


def test_all_experts_at_zero_may_win() -> None:
    rng = np.random.default_rng(0)
    assert {best_expert(torch.zeros(3), rng) for _ in range(200)} == {0, 1, 2}
