"""The generalist: greedy choice, weights that change with labels and misfit, any classifier."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import ialelib as iale
from ialelib.data import DataSet
from ialelib.experts import Query, margins
from ialelib.features import NAMES, STATIC, Batch
from ialelib.models import Architecture, build
from ialelib.training import predict
from ialelib.utils import tensors
from ialelib.utils.errors import InputError

N, L, D, C, ACQ = 60, 8, 12, 4, 7
State = tuple[Tensor, Tensor, Tensor, Tensor]


def state(classes: int = C, width: int = D, size: int = N) -> State:
    coin = torch.Generator().manual_seed(0)
    pool_N_D, known_L_D = (torch.randn(m, width, generator=coin) for m in (size, L))
    probs_N_C = torch.randn(size, classes, generator=coin).softmax(1)
    return probs_N_C, pool_N_D, known_L_D, torch.arange(L) % classes


def weighing(**weights: tuple[float, ...]) -> iale.Generalist:
    """A policy that looks at the features named, by constant, age and misfit."""
    weight_F_K = torch.zeros(len(NAMES), max([2, *map(len, weights.values())]))
    for name, pair in weights.items():
        weight_F_K[NAMES.index(name)] = torch.tensor(pair)
    return iale.Generalist(weight_F_K)


def chosen(policy: iale.Generalist, given: State, acq: int = ACQ, seed: int = 0) -> list[int]:
    return policy.choose(*given, acq, np.random.default_rng(seed)).tolist()


COVERING = weighing(cover_narrow_uncertain=(1.0, 0.2), margin=(-0.5, 0.1))


def test_is_greedy_given_the_batch_so_far() -> None:
    given = state()
    found = chosen(COVERING, given)
    weight_F = COVERING.weights(L / C)
    batch = Batch(*given, np.random.default_rng(0))
    for i, position in enumerate(found):
        score_N = torch.cat([batch.static_N_F, batch.growing()], 1) @ weight_F
        score_N[found[:i]] = -torch.inf
        assert score_N[position] >= score_N.max() - 1e-4
        batch.add(position)


def test_looks_at_what_its_weights_say() -> None:
    given = state()
    least = given[0].topk(2).values
    expected = (least[:, 0] - least[:, 1]).argsort()[:ACQ]
    assert sorted(chosen(weighing(margin=(-1, 0)), given)) == sorted(expected.tolist())


def test_weights_change_with_the_labels_per_class() -> None:
    policy = weighing(margin=(-1.0, 2.0))
    early, late = policy.weights(1.0), policy.weights(float(np.e))
    assert early[NAMES.index("margin")] == -1
    assert late[NAMES.index("margin")] == pytest.approx(1)


def test_weights_change_with_the_classifiers_misfit() -> None:
    policy = weighing(margin=(-1.0, 0.0, 4.0))
    assert policy.weights(3.0)[NAMES.index("margin")] == -1
    assert policy.weights(3.0, misfit=0.5)[NAMES.index("margin")] == 1
    assert weighing(margin=(-1.0, 0.0)).weights(3.0, misfit=0.5)[NAMES.index("margin")] == -1


def test_a_classifier_that_misses_its_labels_is_asked_for_other_samples() -> None:
    policy, data = weighing(margin=(-1.0, 0.0, 4.0)), clouds()
    model = build(Architecture("mlp", data.classes, data.shape), seed=0).eval()
    known = data.train_inputs[:L]
    right = predict(model, known)[0].argmax(1).numpy()
    wrong = np.where(np.arange(L) < L // 2, (right + 1) % data.classes, right)
    rng = np.random.default_rng
    queries = [Query(model, data.train_inputs[L:], known, labels) for labels in (right, wrong)]
    margin_N = margins(queries[0].probs_N_C)
    sure, unsure = (margin_N[policy.select(query, ACQ, rng(0))] for query in queries)
    assert sure.max() == margin_N.topk(ACQ, largest=False).values.max()
    assert unsure.min() == margin_N.topk(ACQ).values.min()


@pytest.mark.parametrize(("classes", "width", "size"), [(2, 3, 20), (30, 200, 50), (C, D, 1500)])
def test_takes_any_number_of_classes_width_and_pool(classes: int, width: int, size: int) -> None:
    found = chosen(COVERING, state(classes, width, size))
    assert len(set(found)) == ACQ
    assert 0 <= min(found) <= max(found) < size


def test_chooses_all_there_are_and_no_more() -> None:
    given = state()
    assert sorted(chosen(COVERING, given, acq=N)) == list(range(N))
    with pytest.raises(InputError, match="exceeds"):
        chosen(COVERING, given, acq=N + 1)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_values_that_are_not_finite_are_refused(part: int) -> None:
    given = list(state())
    given[part] = given[part].clone().index_fill(0, torch.tensor([2]), torch.nan)
    with pytest.raises(InputError, match="finite"):
        COVERING.choose(*given, ACQ, np.random.default_rng(0))


def test_one_class_and_labels_beyond_the_classes_are_refused() -> None:
    probs_N_C, *known, labels_L = state()
    with pytest.raises(InputError, match="2 classes or more"):
        chosen(COVERING, (torch.ones(N, 1), known[0], known[1], torch.zeros(L, dtype=torch.long)))
    with pytest.raises(InputError, match="labels reach 9"):
        chosen(COVERING, (probs_N_C, known[0], known[1], labels_L.clone().fill_(9)))


def test_ties_are_broken_by_the_seed_alone() -> None:
    nothing, given = weighing(), state()
    assert chosen(nothing, given) == chosen(nothing, given)
    assert chosen(nothing, given) != chosen(nothing, given, seed=1)


def test_weights_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match=f"{len(NAMES)} x 2"):
        iale.Generalist(torch.zeros(3, 2))
    with pytest.raises(InputError, match="finite"):
        iale.Generalist(torch.full((len(NAMES), 2), torch.nan))
    with pytest.raises(InputError, match="passes must be a whole number from 1, not 0"):
        iale.Generalist(torch.zeros(len(NAMES), 2), passes=0)


def test_file_gives_the_same_policy_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    made = iale.Generalist(COVERING.weight_F_K, {"seed": 3}, passes=4)
    iale.save_policy(made, path)
    back = iale.load_policy(path)
    assert isinstance(back, iale.Generalist)
    assert back.fingerprint() == made.fingerprint() != weighing().fingerprint()
    assert back.about == {"seed": 3}
    assert back.passes == 4


def test_file_of_another_versions_features_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.safetensors"
    header = {"generalist": json.dumps({"features": NAMES[1:], "about": {}})}
    tensors.save({"weight_F_K": torch.zeros(len(NAMES) - 1, 2)}, header, path)
    with pytest.raises(InputError, match="other features"):
        iale.load_policy(path)


def clouds(classes: int = 5) -> DataSet:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 400)
    middle = rng.normal(size=(classes, D))
    points = (middle[labels] + rng.normal(size=(400, D))).astype(np.float32)
    return DataSet("clouds", points[:300], labels[:300], points[300:], labels[300:])


@pytest.mark.parametrize("classifier", ["probe", "mlp"])
def test_runs_in_a_cycle_by_itself_and_by_name(classifier: str) -> None:
    config = iale.CycleConfig(classifier, initial=5, budget=25, acq=10, n=60)
    data = clouds()
    itself = iale.run_cycle(data, config, COVERING, seed=1)
    named = iale.run_cycle(data, config, "mine", 1, {"mine": COVERING})
    assert set(itself["strategy"]) == {"generalist"}
    assert itself["chosen"].tolist() != iale.run_cycle(data, config, "random", 1)["chosen"].tolist()
    assert len(set(named["chosen"].str.cat(sep=" ").split())) == 20


def test_static_features_come_first() -> None:
    assert NAMES[: len(STATIC)] == STATIC
    assert len(set(NAMES)) == len(NAMES)
