"""The library and the textbook (`benchmarks/reference.py`) come to the same results."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

from ialelib import training
from ialelib.cycle import Cycle, CycleConfig
from ialelib.dagger import DaggerConfig, roll_out
from ialelib.data import DataSet
from ialelib.experts import EXPERTS, Query
from ialelib.models import Architecture, Classifier, build
from ialelib.recipes import RECIPES, Recipe, TrainJob
from ialelib.state import encode, observe
from ialelib.training import correct_mask, fit
from ialelib.utils.cpu import one_thread
from ialelib.utils.seeds import derive

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))

import reference

RNG = np.random.default_rng


@pytest.fixture(scope="module", autouse=True)
def alone() -> Iterator[None]:
    """One thread, as other processes may be running, and the textbook's global seeds undone."""
    with one_thread(), torch.random.fork_rng(devices=[]):
        yield


def paper(epochs: int) -> Recipe:
    return replace(RECIPES["paper"], epochs=epochs, precision="float32")


def job(data: DataSet, samples: int, how: Recipe, seed: int) -> TrainJob:
    inputs, labels = data.train_inputs[:samples], data.train_labels[:samples]
    return TrainJob(Architecture("cnn", data.classes, data.shape), inputs, labels, how, seed, seed)


def twin(model: Classifier, shape: tuple[int, ...] = (28, 28)) -> reference.CNN:
    """The textbook's classifier with the weights of the library's, which flattens H x W x C."""
    weights = model.state_dict()
    height, width = ((size - 4) // 2 for size in shape[:2])
    dense = weights["dense.weight"].view(-1, height, width, 32).permute(0, 3, 1, 2).flatten(1)
    copy = reference.CNN(model.head.out_features, shape)
    copy.load_state_dict({**weights, "dense.weight": dense})
    return copy.eval()


@pytest.fixture(scope="module")
def query(digits: DataSet) -> Query:
    """What a strategy sees with 60 labels: 200 candidates, and four further classifiers."""
    jobs = [job(digits, 60, paper(epochs=15), seed) for seed in range(5)]
    model, *members = map(fit, jobs)
    return Query(model, digits.train_inputs[1000:1200], jobs[0].inputs, jobs[0].labels, members)


@pytest.fixture(scope="module")
def twins(query: Query) -> list[nn.Module]:
    return [twin(model) for model in (query.model, *query.members)]


@pytest.mark.parametrize("shape", [(28, 28), (28, 28, 3), (32, 26, 3)])
def test_same_weights_give_the_same_predictions(digits: DataSet, shape: tuple[int, ...]) -> None:
    images = digits.test_inputs[:300]
    if shape != digits.shape:
        images = RNG(0).integers(0, 256, (300, *shape), dtype=np.uint8)
    model = build(Architecture("cnn", 10, shape), seed=1).eval()
    ours, textbook = training.predict(model, images), reference.predict(twin(model, shape), images)
    torch.testing.assert_close(ours, textbook, rtol=1e-4, atol=1e-5)


def noisy(model: nn.Module, images: np.ndarray, passes: int) -> tuple[Tensor, ...]:
    """Logits and embeddings of several passes with dropout, each passes x N x its width."""
    predict = training.predict if isinstance(model, Classifier) else reference.predict
    model.train()
    found = [predict(model, images) for _ in range(passes)]  # type: ignore[arg-type]
    model.eval()
    return tuple(torch.stack(part) for part in zip(*found, strict=True))


def test_dropout_makes_the_same_noise(query: Query) -> None:
    # Embeddings have passed the first dropout only, logits both.
    torch.manual_seed(0)
    passes, images = 600, query.inputs_N[:5]
    for ours, textbook in zip(
        noisy(query.model, images, passes), noisy(twin(query.model), images, passes), strict=True
    ):
        variance = textbook.var(0).sum()
        assert float((ours.var(0).sum() / variance).sqrt()) == pytest.approx(1, abs=0.05)
        squared_error = (ours.mean(0) - textbook.mean(0)).square().sum()
        assert squared_error < 3 * 2 * variance / passes


def test_training_without_dropout_takes_the_same_steps(
    digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # With all samples in one batch nothing is left to chance but the initial weights.
    plain = nn.Dropout.__init__
    monkeypatch.setattr(nn.Dropout, "__init__", lambda self, p: plain(self, 0.0))
    work = job(digits, 64, paper(epochs=10), seed=123)
    start = twin(build(work.architecture, work.weights))
    monkeypatch.setattr(reference, "CNN", lambda classes, shape: start)
    textbook = reference.fit(work.inputs, work.labels, 10, epochs=10, seed=0)
    ours = training.predict(fit(work), digits.test_inputs[:300])[0]
    theirs = reference.predict(textbook, digits.test_inputs[:300])[0]
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0.005)


def test_training_is_as_good(digits: DataSet) -> None:
    seeds, work = range(8), job(digits, 100, paper(epochs=8), seed=0)
    tests = digits.test_inputs[:1000], digits.test_labels[:1000]
    models = [reference.fit(work.inputs, work.labels, 10, epochs=8, seed=seed) for seed in seeds]
    textbook = [reference.accuracy(model, *tests) for model in models]
    trained = [fit(job(digits, 100, work.recipe, seed)) for seed in seeds]
    for how in (work.recipe, replace(work.recipe, precision="auto")):
        ours = [correct_mask(model, *tests, how).mean() for model in trained]
        error = np.sqrt((np.var(ours, ddof=1) + np.var(textbook, ddof=1)) / len(seeds))
        assert error < 0.02, "too much noise to tell anything"
        assert abs(np.mean(ours) - np.mean(textbook)) < 3 * error


def propose(name: str, query: Query, model: nn.Module, acq: int) -> list[int]:
    """What an expert without chance chooses, by the textbook."""
    logits_N_C, embedding_N_D = reference.predict(model, query.inputs_N)
    if name == "coreset":
        known = reference.predict(model, query.labelled_inputs_L)[1]
        return reference.coreset(embedding_N_D, known, acq).tolist()
    expert = {"entropy": reference.entropy, "confidence": reference.confidence}[name]
    return expert(logits_N_C, acq).tolist()


@pytest.mark.parametrize("name", ["entropy", "confidence", "coreset"])
def test_experts_choose_the_same_in_the_same_order(
    query: Query, twins: list[nn.Module], name: str
) -> None:
    assert EXPERTS[name](query, 30, RNG(0)).tolist() == propose(name, query, twins[0], 30)


def test_ensembles_choose_equally_good_samples(query: Query, twins: list[nn.Module]) -> None:
    votes_M_N = torch.stack([reference.predict(m, query.inputs_N)[0].argmax(1) for m in twins])
    score_N = reference.variation_ratio(votes_M_N)
    assert len(score_N.unique()) >= 3
    for acq in (5, 20, 60):
        ours = score_N[EXPERTS["ensemble"](query, acq, RNG(0))]
        textbook = score_N[reference.ensemble(twins, query.inputs_N, acq)]
        assert ours.sort().values.tolist() == textbook.sort().values.tolist()


def test_mc_dropout_chooses_as_uncertain_samples(query: Query, twins: list[nn.Module]) -> None:
    torch.manual_seed(0)
    some, acq, seeds = replace(query, inputs_N=query.inputs_N[:60]), 10, range(10)
    score_N = reference.variation_ratio(noisy(twins[0], some.inputs_N, 200)[0].argmax(2))
    ours = [EXPERTS["mc_dropout"](some, acq, RNG(seed)).tolist() for seed in seeds]
    textbook = [reference.mc_dropout(twins[0], some.inputs_N, acq).tolist() for _ in seeds]
    means = torch.stack([score_N[batch].mean() for batch in ours + textbook]).view(2, -1)
    error = (means.var(1).sum() / len(seeds)).sqrt()
    assert abs(means[0].mean() - means[1].mean()) < 3 * error
    overlaps = [len(set(one) & set(other)) for one in ours for other in textbook]
    assert np.mean(overlaps) > 3 * acq**2 / 60, "hardly more than chance"


def assert_drawn_from(odds_N: Tensor, counts_N: np.ndarray) -> None:
    """Chi-square test, with the rarest positions taken together."""
    expected_N = odds_N.numpy() * counts_N.sum()
    rare = expected_N < 5
    assert counts_N[odds_N == 0].sum() == 0
    groups = np.where(rare, rare.argmax(), np.arange(len(rare)))
    found, expected = (np.bincount(groups, x) for x in (counts_N, expected_N))
    assert chisquare(found[expected > 0], expected[expected > 0]).pvalue > 1e-3


def test_badge_draws_from_the_distribution_of_k_means_plus_plus(
    query: Query, twins: list[nn.Module]
) -> None:
    some = replace(query, inputs_N=query.inputs_N[:40])
    logits_N_C, embedding_N_D = reference.predict(twins[0], some.inputs_N)
    gradient = reference.gradient_embedding(logits_N_C, embedding_N_D).double()
    squared_N_N = (gradient[:, None] - gradient).square().sum(2)
    first = int(gradient.square().sum(1).argmax())
    second_N = squared_N_N[first] / squared_N_N[first].sum()
    nearest_N_N = torch.minimum(squared_N_N[first], squared_N_N)
    third_N = second_N @ (nearest_N_N / nearest_N_N.sum(1, keepdim=True))
    ours = np.array([EXPERTS["badge"](some, 3, RNG(seed)) for seed in range(1500)])
    draws = (reference.badge(logits_N_C, embedding_N_D, 3, RNG(seed)) for seed in range(1500))
    for chosen in (ours, torch.stack(list(draws)).numpy()):
        assert set(chosen[:, 0]) == {first}
        assert_drawn_from(second_N, np.bincount(chosen[:, 1], minlength=40))
        assert_drawn_from(third_N, np.bincount(chosen[:, 2], minlength=40))


def assert_same_state(ours: Tensor, query: Query, model: nn.Module) -> None:
    candidates, labels = reference.predict(model, query.inputs_N), torch.from_numpy(query.labels_L)
    known = reference.predict(model, query.labelled_inputs_L)
    assert ours.shape == (len(query.inputs_N), 1566)
    expected = reference.encode(candidates, known, labels)
    torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-4)


def test_states_are_the_same(query: Query, twins: list[nn.Module]) -> None:
    assert_same_state(encode(observe(query)), query, twins[0])


def test_an_episode_of_the_library_is_that_of_the_textbook(
    digits: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IALE_DEVICE", raising=False)
    monkeypatch.setitem(RECIPES, "short", paper(epochs=10))
    names, config = (
        ("coreset", "confidence", "entropy"),
        CycleConfig("cnn", 20, 40, 10, 50, "short"),
    )
    rollout = roll_out(digits, DaggerConfig(config, names, validation=50, seed=3), 1, None)
    cycle = Cycle(digits, config, derive(3, "episode", 1), validation=50)
    inputs, labels, valid = digits.train_inputs, digits.train_labels, cycle.validation
    for a in range(2):
        sub_pool, model = cycle.sub_pool(), fit(cycle.job())
        query, textbook, scores = cycle.query(model, sub_pool), twin(model), []
        for name, chosen_N in zip(names, rollout.chosen_A_E_N[a], strict=True):
            chosen = sorted(propose(name, query, textbook, 10))
            assert chosen_N.nonzero()[:, 0].tolist() == chosen
            temporary = twin(fit(cycle.job(sub_pool[chosen])))
            scores.append(reference.accuracy(temporary, inputs[valid], labels[valid]))
        assert rollout.score_A_E()[a].tolist() == pytest.approx(scores)
        assert scores[int(rollout.winner_A[a])] == max(scores)
        assert_same_state(encode(rollout.state(a)), query, textbook)
        cycle.pool.label(sub_pool[rollout.chosen_A_E_N[a, rollout.winner_A[a]].numpy()])


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_textbook_episode_labels_new_samples(small_digits: DataSet, p: float) -> None:
    config = reference.Setting(20, 40, acq=10, n=50, validation=30, epochs=2, p=p)
    steps = reference.episode(small_digits, config, 0, lambda state_N_F: state_N_F[:, 148])
    taken = np.concatenate([step.taken for step in steps])
    assert len(steps) == 2
    assert len(set(taken.tolist()) & set(range(600))) == len(taken) == 20
    assert steps[0].state[0, 128:138].tolist() == pytest.approx([0.1] * 10)
    for step in steps:
        assert step.state.shape == (50, 1566)
        assert [len(set(batch.tolist())) for batch in step.batches.values()] == [10] * 6
        best = step.batches[max(step.validation, key=lambda name: step.validation[name])]
        assert set(step.sub_pool[step.target == 1]) == set(best)
        followed = best if p == 1 else step.sub_pool[step.state[:, 148].topk(10).indices]
        assert set(step.taken) == set(followed) != set(step.batches["badge"])
