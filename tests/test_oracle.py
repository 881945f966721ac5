"""The oracle: what it proposes, how it scores, and that it disturbs no other strategy."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pandas.testing import assert_frame_equal
from toys import TOY, chosen, untimed

from ialelib import oracle
from ialelib.cycle import Cycle, check, run_cycle
from ialelib.dagger import DaggerConfig
from ialelib.data import DataSet
from ialelib.experiments import compare
from ialelib.experts import EXPERTS
from ialelib.models import Architecture, build
from ialelib.training import fit, predict
from ialelib.utils.errors import InputError


@pytest.fixture
def cycle(toy: DataSet) -> Cycle:
    return Cycle(toy, TOY, seed=0)


def test_a_cycle_with_the_oracle_is_repeated_bit_for_bit(toy: DataSet) -> None:
    one, other = (untimed(run_cycle(toy, TOY, "oracle", seed=0)) for _ in range(2))
    assert_frame_equal(one, other, check_exact=True)
    assert one["labels"].tolist() == [20, 30, 40]
    assert len(set(chosen(one))) == 20


def test_the_oracle_shares_split_and_sub_pools_with_the_others(toy: DataSet) -> None:
    curves = compare(toy, TOY, ["random", "oracle"], [0])
    alone = run_cycle(toy, TOY, "random", 0)
    both = [curves[curves["strategy"] == name] for name in ("random", "oracle")]
    assert_frame_equal(untimed(both[0]), untimed(alone), check_exact=True)
    assert both[0]["accuracy"].iloc[0] == both[1]["accuracy"].iloc[0]
    first = [int(index) for index in both[1]["chosen"].iloc[0].split()]
    assert set(first) <= set(Cycle(toy, TOY, 0).sub_pool())


def test_scores_are_the_losses_of_classifiers_trained_one_by_one(cycle: Cycle) -> None:
    sub_pool = cycle.sub_pool()
    batches, losses = oracle.scored(cycle, fit(cycle.job()), sub_pool, count=12)
    assert batches.shape == (12, 10)
    assert losses.shape == (12,)
    held_out = oracle.validation(cycle, sub_pool)
    for batch, loss in zip(batches[:3], losses, strict=False):
        model = fit(cycle.job(sub_pool[batch]))
        logits = predict(model, cycle.data.train_inputs[held_out])[0]
        truth = torch.from_numpy(cycle.data.train_labels[held_out])
        assert F.cross_entropy(logits, truth) == loss


def test_the_best_has_the_least_loss(cycle: Cycle) -> None:
    sub_pool, model = cycle.sub_pool(), fit(cycle.job())
    batches, losses = oracle.scored(cycle, model, sub_pool)
    assert len(batches) == 50
    best = oracle.best(cycle, model, sub_pool)
    assert best.tolist() == batches[losses.argmin()].tolist()


def test_every_expert_proposes_from_all_and_from_halves_and_chance_does_the_rest(
    cycle: Cycle,
) -> None:
    sub_pool, model = cycle.sub_pool(), fit(cycle.job())
    batches = oracle.proposals(cycle, model, sub_pool)
    assert np.array_equal(batches, np.sort(batches, axis=1))
    assert len(np.unique(batches, axis=0)) == len(batches) == 50
    found = {tuple(batch) for batch in batches.tolist()}
    for name in ("entropy", "confidence", "margin", "coverage"):  # these have no ties here
        whole = EXPERTS[name](cycle.query(model, sub_pool), 10, np.random.default_rng(7))
        assert tuple(sorted(whole.tolist())) in found, name


def test_a_sub_pool_of_one_batch_has_one_proposal(toy: DataSet) -> None:
    cycle = Cycle(toy, replace(TOY, n=10), seed=0)
    batches = oracle.proposals(cycle, fit(cycle.job()), cycle.sub_pool())
    assert batches.tolist() == [list(range(10))]


@pytest.mark.parametrize(("classifier", "has"), [("toy_mlp", False), ("mlp", True)])
def test_mc_dropout_proposes_where_there_is_dropout(classifier: str, has: bool) -> None:
    names = oracle.applicable(build(Architecture(classifier, 2, (2,)), seed=0))
    assert ("mc_dropout" in names) == has
    assert {*names, "mc_dropout", "ensemble", "random"} == set(EXPERTS)


def test_validation_samples_lie_apart_while_there_are_others(
    cycle: Cycle, monkeypatch: pytest.MonkeyPatch
) -> None:
    sub_pool = cycle.sub_pool()
    used = {*sub_pool, *cycle.pool.labelled}
    everything = oracle.validation(cycle, sub_pool)
    assert sorted(everything) == list(range(300))
    assert not used & set(everything[: 300 - len(used)])
    monkeypatch.setattr(oracle, "VALIDATION", 100)
    first = oracle.validation(cycle, sub_pool)
    cycle.pool.label(sub_pool[:10])
    later = oracle.validation(cycle, cycle.sub_pool())
    assert len(first) == 100
    assert len(set(first) & set(later)) > 60, "most of them stay"


def test_the_oracle_is_no_expert_to_imitate(toy: DataSet) -> None:
    check(toy, TOY, ["random", "oracle"], {})
    with pytest.raises(InputError, match="unknown expert 'oracle'"):
        DaggerConfig(TOY, experts=("oracle",)).check(toy)
