"""Every acquisition function against an independent oracle."""

from collections import Counter
from copy import deepcopy
from itertools import combinations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.stats import chisquare
from scipy.stats import entropy as scipy_entropy
from sklearn.metrics.pairwise import euclidean_distances
from torch import Tensor

from ialelib import experts
from ialelib.coverage import cover, directions, held_out_accuracy, temperature
from ialelib.experts import EXPERTS, Query
from ialelib.models import Architecture, Classifier, build
from ialelib.utils.errors import InputError

NAMES = sorted(EXPERTS)
NEW = ("typiclust", "coverage", "uherding", "dropquery", "bait")
N = 40


class Linear(Classifier):
    """Its inputs are its embeddings, so that a test can place every sample by hand."""

    def __init__(self, weight_C_D: Tensor) -> None:
        super().__init__(weight_C_D.shape[1], weight_C_D.shape[0], dropout=0.3)
        self.load_state_dict({"head.weight": weight_C_D, "head.bias": torch.zeros(len(weight_C_D))})
        self.eval()

    def features(self, inputs: Tensor) -> Tensor:
        return inputs


def ask(
    points: np.ndarray, labelled: np.ndarray | None = None, weight: np.ndarray | None = None
) -> Query:
    """A query on a linear classifier (logits = points without `weight`); it suits every expert."""
    points = points.astype(np.float32)
    head = torch.eye(points.shape[1]) if weight is None else torch.from_numpy(weight).float()
    labelled = points[:1] if labelled is None else labelled.astype(np.float32)
    members = [Linear(head + 0.1 * m) for m in range(1, 5)]
    return Query(Linear(head), points, labelled, np.zeros(len(labelled), dtype=np.int64), members)


def scattered(n: int = N, features: int = 6) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, features))


def choose(name: str, query: Query, acq: int, seed: int = 0) -> list[int]:
    return [int(i) for i in EXPERTS[name](query, acq, np.random.default_rng(seed))]


@pytest.mark.parametrize("points", [scattered(), np.ones((N, 6)), np.tile(scattered(2), (20, 1))])
@pytest.mark.parametrize("acq", [1, 10, N])
@pytest.mark.parametrize("name", NAMES)
def test_every_expert_returns_different_positions(name: str, acq: int, points: np.ndarray) -> None:
    positions = EXPERTS[name](ask(points), acq, np.random.default_rng(0))
    assert positions.dtype == np.int64
    assert len(positions) == len(set(positions.tolist()) & set(range(N))) == acq


@pytest.mark.parametrize("name", NAMES)
def test_every_expert_refuses_more_than_is_offered(name: str) -> None:
    with pytest.raises(InputError, match=f"{N + 1} exceeds the {N}"):
        choose(name, ask(scattered()), N + 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_generator_gives_the_same_answer(name: str) -> None:
    assert choose(name, ask(scattered()), 10) == choose(name, ask(scattered()), 10)


@pytest.mark.parametrize("name", NAMES)
def test_ties_are_broken_at_random_not_by_position(name: str) -> None:
    # Two choices, so that the second pick of the greedy experts is held to it as well.
    query = ask(np.tile(np.arange(6.0), (N, 1)))
    picks = [position for seed in range(400) for position in choose(name, query, 2, seed)]
    assert chisquare(np.bincount(picks, minlength=N)).pvalue > 1e-3


def test_random_looks_at_nothing() -> None:
    query = ask(np.arange(10.0)[:, None] * np.array([[1.0, -1.0]]))
    picks = [position for seed in range(1000) for position in choose("random", query, 3, seed)]
    assert chisquare(np.bincount(picks, minlength=10)).pvalue > 1e-3


def test_entropy_ranks_as_scipy_does() -> None:
    logits = scattered(200, 4) * 3
    expected = np.argsort(-scipy_entropy(np.exp(logits), axis=1))[:20]
    assert choose("entropy", ask(logits), 20) == expected.tolist()


def test_confidence_and_entropy_part_ways_where_they_should() -> None:
    # Row 1 has the least likely mode (0.50 < 0.52), row 2 the larger entropy (1.02 > 0.69 nats).
    logits = np.log([[0.9, 0.05, 0.05], [0.499, 0.499, 0.002], [0.52, 0.24, 0.24]])
    assert choose("confidence", ask(logits), 2) == [1, 2]
    assert choose("entropy", ask(logits), 2) == [2, 1]


def test_margin_looks_at_the_two_most_likely_classes() -> None:
    # Margins .4, .05 and .28; confidence and entropy put row 2 first, or last but one.
    logits = np.log([[0.6, 0.2, 0.2], [0.5, 0.45, 0.05], [0.52, 0.24, 0.24]])
    assert choose("margin", ask(logits), 3) == [1, 2, 0]


def test_variation_ratio_by_hand() -> None:
    votes_M_N = torch.tensor([[0, 1, 2], [0, 1, 1], [0, 2, 0], [0, 2, 3], [1, 1, 4]])
    assert experts.variation_ratio(votes_M_N).tolist() == pytest.approx([0.2, 0.4, 0.8])


@settings(deadline=None, max_examples=50)
@given(arrays(np.int64, array_shapes(min_dims=2, max_dims=2), elements=st.integers(0, 4)))
def test_variation_ratio_is_one_minus_the_share_of_the_mode(votes_M_N: np.ndarray) -> None:
    assert experts.variation_ratio(torch.from_numpy(votes_M_N)).tolist() == pytest.approx(
        [1 - max(Counter(v).values()) / len(v) for v in votes_M_N.T.tolist()]
    )


def mlp_query(classifier: str = "mlp") -> Query:
    model, points = build(Architecture(classifier, 4, (6,)), seed=1), scattered().astype(np.float32)
    return Query(model.eval(), points, points[:2], np.array([0, 1]))


def test_mc_dropout_takes_the_largest_ratios_of_a_plain_loop_of_20_passes() -> None:
    query = mlp_query()
    chosen = choose("mc_dropout", query, 10, seed=3)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(int(np.random.default_rng(3).integers(2**62)))
        model = query.model.train()
        votes = [model(torch.from_numpy(query.inputs_N))[0].argmax(1) for _ in range(20)]
    ratio = [1 - max(Counter(v).values()) / 20 for v in torch.stack(votes).T.tolist()]
    assert len(set(ratio)) > 3, "too few different ratios to tell a right answer from a wrong one"
    assert min(ratio[i] for i in chosen) >= max(ratio[i] for i in set(range(N)) - set(chosen))


def test_mc_dropout_makes_20_passes() -> None:
    query, passes = mlp_query(), []
    query.model.head.register_forward_hook(lambda *_: passes.append(1))
    choose("mc_dropout", query, 5)
    assert len(passes) == 20


def test_mc_dropout_leaves_the_model_as_it_was() -> None:
    # Batch statistics must not move: only dropout may be switched on.
    model = build(Architecture("resnet18", 3, (28, 28)), seed=0).eval()
    before, images = deepcopy(model.state_dict()), np.zeros((4, 28, 28), dtype=np.uint8)
    choose("mc_dropout", Query(model, images, images, np.zeros(4, dtype=np.int64)), 2)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_mc_dropout_neither_reads_nor_moves_the_global_generator() -> None:
    picks = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        picks.append(choose("mc_dropout", mlp_query(), 10))
        assert torch.equal(before, torch.get_rng_state())
    assert picks[0] == picks[1]


@pytest.mark.parametrize(
    ("name", "classifier", "lacking"),
    [("mc_dropout", "toy_mlp", "dropout"), ("ensemble", "mlp", "members")],
)
def test_an_expert_without_what_it_needs_says_so(name: str, classifier: str, lacking: str) -> None:
    with pytest.raises(InputError, match=f"{name} needs .*{lacking}"):
        choose(name, mlp_query(classifier), 5)


def voting(votes: list[int]) -> Linear:
    """A classifier that gives sample i, the i-th unit vector, the i-th label."""
    return Linear(F.one_hot(torch.tensor(votes), 5).T.float())


def test_ensemble_counts_the_current_classifier_and_its_four_members() -> None:
    # Sample 2 splits 1-1-1-1-1, sample 1 splits 3-2, sample 0 splits 4-1, sample 3 not at all.
    votes = ([0, 1, 2, 3], [0, 1, 1, 3], [0, 2, 0, 3], [0, 2, 3, 3], [1, 1, 4, 3])
    first, *members = map(voting, votes)
    samples = np.eye(4, dtype=np.float32)
    query = Query(first, samples, samples[:1], np.array([0]), members)
    assert choose("ensemble", query, 4) == [2, 1, 0, 3]


def gaps(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Distance of each point to its nearest centre, in a double loop."""
    return np.array([min(np.sqrt(((p - c) ** 2).sum()) for c in centres) for p in points])


@pytest.mark.parametrize("labelled", [1, 30])
def test_coreset_is_greedy_k_centre(labelled: int) -> None:
    points, centres = scattered(60), scattered(labelled, 6) + 0.5
    expected: list[int] = []
    for _ in range(10):
        expected.append(int(gaps(points, np.vstack([centres, points[expected]])).argmax()))
    assert choose("coreset", ask(points, centres), 10) == expected


def test_coreset_covers_at_most_twice_the_radius_of_the_best_choice() -> None:
    for seed in range(10):
        points = np.random.default_rng(seed).normal(size=(9, 2))
        greedy = points[[0, *choose("coreset", ask(points), 3)]]
        radii = [gaps(points, points[[0, *some]]).max() for some in combinations(range(9), 3)]
        assert gaps(points, greedy).max() <= 2 * min(radii) + 1e-5


def test_coreset_sees_labelled_samples_beyond_the_first_thousand() -> None:
    # The far sample 0 has a labelled neighbour, but only late in the labelled set.
    points = np.array([[100.0, 0.0], [0.0, 5.0], [0.0, 1.0]])
    labelled = np.vstack([np.zeros((1499, 2)), [[100.0, 0.5]]])
    assert choose("coreset", ask(points, labelled), 2) == [1, 2]


def test_coreset_tells_close_samples_apart_far_from_the_origin() -> None:
    # Embeddings after ReLU lie far from the origin: |x|^2 - 2xy + |y|^2 in float32 is too coarse.
    points = scattered(N, 128) * 1e-3 + 10
    points[17, 0] += 0.05
    labelled = np.delete(points, 17, axis=0)
    assert choose("coreset", ask(points, labelled), 1) == [17]


def gradients(query: Query) -> np.ndarray:
    """Gradient of the pseudo-label loss at the head's weight, by autograd: N x C*D."""
    rows = []
    for embedding_D in query.embedding_N_D.double():
        weight_C_D = query.model.head.weight.detach().double().requires_grad_()
        logits_C = weight_C_D @ embedding_D
        (gradient,) = torch.autograd.grad(F.cross_entropy(logits_C, logits_C.argmax()), weight_C_D)
        rows.append(gradient.flatten().numpy())
    return np.stack(rows)


@pytest.mark.parametrize("seed", range(5))
def test_badge_is_k_means_plus_plus_on_explicit_gradients(seed: int) -> None:
    rng = np.random.default_rng(seed)
    query = ask(scattered(60), weight=np.random.default_rng(1).normal(size=(4, 6)))
    gradient_N_CD = gradients(query)
    rng.random(60)  # what the library draws to break ties for the first centre
    expected = [int((gradient_N_CD**2).sum(1).argmax())]
    while len(expected) < 10:
        weight = euclidean_distances(gradient_N_CD, gradient_N_CD[expected]).min(1) ** 2
        weight[expected] = 0
        expected.append(int(rng.choice(60, p=weight / weight.sum())))
    assert choose("badge", query, 10, seed) == expected


def test_uherding_is_coverage_of_what_a_scaled_softmax_is_unsure_of() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 4)
    query = ask(3 * scattered(60, 3), np.eye(3)[labels] + rng.normal(size=(12, 3)))
    query.labels_L = labels
    known = query.embedding_N_D, query.labelled_embedding_L_D
    accuracy = held_out_accuracy(directions(*known)[1], torch.from_numpy(labels), 3)
    scale = temperature(query.logits_N_C, accuracy)
    assert 1.05 < scale < 9
    first, second = np.sort((query.logits_N_C / scale).softmax(1).numpy(), axis=1)[:, :-3:-1].T
    weight_N = torch.from_numpy(1 - (first - second))
    expected = cover(*known, 10, np.random.default_rng(0), weight_N, shrinking=True)
    assert choose("uherding", query, 10) == expected.tolist()
    assert expected.tolist() != choose("coverage", query, 10)


def test_dropquery_offers_what_changes_in_most_of_three_passes() -> None:
    # A single large value survives or all logits are 0 (class 0); even rows are of class 0 anyway.
    points = np.eye(2)[np.arange(N) % 2] * (1 + scattered(N, 1) ** 2)
    chosen = choose("dropquery", ask(points), 6)
    assert all(i % 2 == 1 for i in chosen)
    rng = np.random.default_rng(0)
    kept = np.stack([rng.integers(4, size=(N, 2), dtype=np.uint8) == 0 for _ in range(3)])
    dropped = 3 - kept[:, :, 1].sum(0)
    assert all(dropped[i] >= 2 for i in chosen)


def test_dropquery_takes_the_most_inconsistent_where_too_few_change() -> None:
    # Predictions of class 0 never change: all logits are 0 where the value is dropped.
    points = np.eye(2)[[0] * 35 + [1] * 5]
    assert set(choose("dropquery", ask(points), 10)) >= {35, 36, 37, 38, 39}


@pytest.mark.parametrize("name", ["coreset", "typiclust", "coverage", "bait"])
def test_geometry_looks_at_the_labelled_set(name: str) -> None:
    # Two groups, one of which is labelled already: the first choice is from the other one.
    points = np.repeat(np.eye(2), 20, axis=0) * 3 + 0.1 * scattered(40, 2)
    for known, other in ((0, range(20, 40)), (25, range(20))):
        assert choose(name, ask(points, points[[known, known + 1]]), 1)[0] in other


@pytest.mark.parametrize("name", ["coreset", "badge", *NEW])
def test_embeddings_that_are_not_finite_are_refused(name: str) -> None:
    points = scattered()
    points[:, 2] = np.nan
    with pytest.raises(InputError, match="must be finite"):
        choose(name, ask(points), 5)


@pytest.mark.parametrize("name", NEW)
def test_certain_predictions_are_no_trouble(name: str) -> None:
    assert len(set(choose(name, ask(np.eye(6)[np.arange(N) % 6] * 200), 12))) == 12


def test_a_misspelt_expert_gets_the_nearest_name() -> None:
    with pytest.raises(InputError, match="unknown expert 'entrpy'; did you mean 'entropy'"):
        experts.check(["random", "entrpy"])
