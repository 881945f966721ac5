"""ALIL: one sample at a time, found by trying every candidate."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from toys import TINY, TOY, chosen

from ialelib import cycle, dagger, metrics
from ialelib.dagger import EACH_CANDIDATE, DaggerConfig, roll_out
from ialelib.data import DataSet
from ialelib.experiments import alil, paired
from ialelib.policy import Example, Policy, PolicyRecipe, fit_policy
from ialelib.state import State
from ialelib.utils.errors import InputError

SHORT = replace(TOY, budget=26)


def ours(**more: object) -> DaggerConfig:
    return alil.dagger_config(SHORT, episodes=2, validation=50, **more)


def policy() -> Policy:
    torch.manual_seed(1)
    return Policy(2, 16, alil.PARTS).eval()


def test_parameters_are_those_of_the_appendix() -> None:
    found = alil.dagger_config(TOY)
    assert (found.cycle.acq, found.cycle.n, found.p, found.episodes) == (1, 10, 0.5, 20)
    assert found.cycle == replace(TOY, acq=1, n=10)
    assert alil.dagger_config(TOY, seed=4, ranking="warm").seed == 4


def test_every_candidate_is_tried_and_the_best_is_labelled(toy: DataSet) -> None:
    found = roll_out(toy, ours(), 1, None)
    assert found.experts == tuple(f"candidate {i}" for i in range(10))
    assert torch.equal(found.chosen_A_E_N, torch.eye(10, dtype=torch.bool).expand(6, 10, 10))
    best_A = found.score_A_E().amax(1)
    won_A = found.score_A_E().gather(1, found.winner_A[:, None])[:, 0]
    assert torch.equal(best_A, won_A)
    assert found.labels_A.tolist() == [20, 21, 22, 23, 24, 25]


def test_training_gives_a_policy_that_reads_no_gradients(toy: DataSet, tmp_path: Path) -> None:
    trained, history = dagger.train_policy(toy, ours(), tmp_path)
    assert trained.parts == alil.PARTS
    assert len(history) == 2
    shares = history[[name for name in history if str(name).startswith("candidate")]]
    assert shares.sum(axis=1).to_numpy() == pytest.approx(np.ones(2))


def test_more_than_one_sample_at_a_time_is_refused(toy: DataSet) -> None:
    wrong = replace(TINY, experts=(EACH_CANDIDATE,))
    with pytest.raises(InputError, match="acq must be 1"):
        wrong.check(toy)


@pytest.mark.parametrize("loss", ["binary", "categorical"])
def test_either_loss_learns_whom_the_expert_prefers(loss: str) -> None:
    generator = torch.Generator().manual_seed(0)
    examples = []
    for _ in range(60):
        embedding = torch.rand(10, 4, generator=generator)
        target = torch.nn.functional.one_hot(embedding[:, 0].argmax(), 10).float()
        logits, known = torch.zeros(10, 2), torch.ones(2) / 2
        state = State(torch.zeros(4), known, known, embedding, logits, torch.zeros(2, 4))
        examples.append(Example(state, target))
    recipe = PolicyRecipe(epochs=60, loss=loss)  # type: ignore[arg-type]
    learned, losses = fit_policy(examples[:40], alil.PARTS, recipe)
    hits = [learned.scores(e.state).argmax() == e.target_N.argmax() for e in examples[40:]]
    assert np.mean(hits) > 0.7
    assert losses[-1] < losses[0] / 2


def test_the_categorical_loss_is_that_of_a_soft_max_over_the_candidates() -> None:
    # All candidates alike: whatever the weights, the loss is log 10 from the first epoch on.
    alike = State(*(torch.zeros(size) for size in ((4,), (2,), (2,), (10, 4), (10, 2), (2, 4))))
    example = Example(alike, torch.nn.functional.one_hot(torch.tensor(3), 10).float())
    losses = fit_policy([example] * 8, alil.PARTS, PolicyRecipe(epochs=3, loss="categorical"))[1]
    assert losses == pytest.approx([np.log(10)] * 3, rel=1e-5)


def test_cycles_have_the_sizes_of_the_others(toy: DataSet, tmp_path: Path) -> None:
    config = replace(TOY, budget=45)
    found = alil.run(toy, config, policy(), [0, 1], tmp_path)
    assert list(found["labels"]) == [20, 30, 40, 45] * 2
    single = cycle.run_cycle(toy, alil.one_at_a_time(config), "alil", 0, {"alil": policy()})
    at = single[single["labels"].isin([20, 30, 40, 45])]
    first = found[found["seed"] == 0]
    assert list(first["accuracy"]) == list(at["accuracy"])
    assert chosen(first) == chosen(single)
    assert first["chosen"].str.split().map(len).tolist() == [10, 10, 5, 0]


def test_seconds_are_those_of_all_acquisitions_between(toy: DataSet, tmp_path: Path) -> None:
    found = alil.run(toy, TOY, policy(), [0], tmp_path)
    single = paired.compare(
        toy, alil.one_at_a_time(TOY), ["alil"], [0], tmp_path, {"alil": policy()}
    )
    for name in ("fit_seconds", "query_seconds"):
        assert found[name].sum() == pytest.approx(single[name].sum())
        assert found[name].iloc[0] == pytest.approx(single[name].iloc[:10].sum())


def test_its_curves_compare_with_the_others(toy: DataSet, tmp_path: Path) -> None:
    others = paired.compare(toy, TOY, ["random", "coreset"], [0, 1], tmp_path)
    both = pd.concat([others, alil.run(toy, TOY, policy(), [0, 1], tmp_path)])
    assert list(metrics.paired_tests(both)["strategy"]) == ["random", "coreset", "alil"]
    start = both[both["labels"] == 20].groupby("seed")["accuracy"].nunique()
    assert (start == 1).all()
