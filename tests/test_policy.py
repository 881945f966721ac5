"""The policy network: scores, loss, fit, selection, files."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from ialelib import policy as policies
from ialelib import policy as policy_fit
from ialelib.experts import Query
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.models import Architecture, build
from ialelib.policy import (
    Example,
    Policy,
    PolicyRecipe,
    fit_policy,
    load_network,
    load_policy,
    loss,
    save_policy,
)
from ialelib.state import CLASS_FREE, FULL, State, StateParts, describe, encode, observe
from ialelib.utils import tensors
from ialelib.utils.errors import InputError

C, D, N, ACQ = 4, 16, 50, 10
Fitted = tuple[Policy, list[float]]


def query(seed: int, classes: int = C) -> Query:
    """A small untrained classifier on random points: every seed another state."""
    model = build(Architecture("toy_mlp", classes, (2,)), seed).eval()
    model.head.weight.data.mul_(8)  # else all predictions are near uniform
    points = np.random.default_rng(seed).normal(size=(N + 9, 2)).astype(np.float32) * 3
    return Query(model, points[:N], points[N:], np.arange(9) % classes)


def least_confident(state: State) -> Tensor:
    """The rule to learn: the ten candidates whose most likely class is least likely."""
    target_N, probs_N_C = torch.zeros(N), torch.as_tensor(state.logits_N_C).softmax(1)
    target_N[probs_N_C.amax(1).argsort()[:ACQ]] = 1
    return target_N


def example(seed: int) -> Example:
    state = observe(query(seed))
    return Example(state, least_confident(state))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return [example(seed) for seed in range(60)]


@pytest.fixture(scope="module")
def fitted(examples: list[Example]) -> Fitted:
    return fit_policy(examples, seed=1)


def same_weights(one: Policy, other: Policy) -> bool:
    weights = other.state_dict()
    return all(torch.equal(value, weights[name]) for name, value in one.state_dict().items())


def test_three_dense_layers_of_128_128_and_1_with_relu_between() -> None:
    policy = Policy(10, 128)
    kinds = [type(layer) for layer in policy.layers]
    assert kinds == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    weights = [w for name, w in policy.named_parameters() if name.endswith("weight")]
    assert [tuple(w.shape) for w in weights] == [(128, 1566), (128, 128), (1, 128)]


def test_scores_are_the_networks_sigmoid() -> None:
    torch.manual_seed(0)
    policy, state = Policy(C, D), observe(query(0))
    rho_N = policy.scores(state)
    with torch.no_grad():
        torch.testing.assert_close(rho_N, 1 / (1 + (-policy(encode(state))).exp()))
    assert rho_N.shape == (N,)
    assert bool(((rho_N >= 0) & (rho_N <= 1)).all())


def test_parts_of_the_state_are_divided_by_their_scale() -> None:
    torch.manual_seed(0)
    policy = Policy(C, D)
    features = torch.rand(3, len(policy.scale))
    before = policy(features)
    policy.scale.mul_(2)
    torch.testing.assert_close(policy(features * 2), before)


@pytest.mark.parametrize("weight", [1.0, 9.0])
def test_the_loss_is_eq_2_with_a_plus_before_the_second_term(weight: float) -> None:
    logits_N = np.array([-2.0, 0.5, 3.0, -0.1])
    t, rho = np.array([0.0, 1.0, 1.0, 0.25]), 1 / (1 + np.exp(-logits_N))
    expected = -(weight * t * np.log(rho) + (1 - t) * np.log(1 - rho)).mean()
    found = loss(torch.from_numpy(logits_N), torch.from_numpy(t), weight)
    assert float(found) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("t", [0.0, 1.0])
def test_a_confident_right_answer_costs_less_than_a_wrong_one(t: float) -> None:
    right, wrong = torch.tensor([8.0 if t else -8.0]), torch.tensor([-8.0 if t else 8.0])
    target = torch.tensor([t])
    assert loss(right, target, 9.0) < 0.01 < 7 < loss(wrong, target, 9.0)


def test_the_fit_learns_a_rule_that_holds_on_fresh_states(fitted: Fitted) -> None:
    states = [observe(query(seed)) for seed in range(1000, 1020)]
    hits = [least_confident(state)[fitted[0].choose(state, ACQ)].mean() for state in states]
    assert np.mean(hits) > 0.5, "chance is 0.2"


def test_the_fit_reports_one_falling_loss_an_epoch(fitted: Fitted) -> None:
    losses = fitted[1]
    assert len(losses) == 30
    assert losses[-1] < 0.7 * losses[0]
    assert sum(later < before for before, later in pairwise(losses)) > 20


def test_rare_positives_weigh_as_much_as_all_negatives(examples: list[Example]) -> None:
    # An untrained policy gives every candidate 0.5: weighted, its loss is 2 (1 - q) ln 2.
    recipe = PolicyRecipe(epochs=1, lr=1e-9, batch=60)
    assert fit_policy(examples, recipe=recipe)[1][0] == pytest.approx(2 * 0.8 * np.log(2), rel=0.05)


def test_the_same_seed_gives_the_same_weights(examples: list[Example], fitted: Fitted) -> None:
    torch.rand(7)
    before = torch.get_rng_state()
    again, losses = fit_policy(examples, seed=1)
    assert same_weights(again, fitted[0])
    assert losses == fitted[1]
    assert torch.equal(before, torch.get_rng_state()), "the fit moved the global generator"


def test_another_seed_gives_other_weights(examples: list[Example]) -> None:
    recipe = PolicyRecipe(epochs=1)
    one, other = (fit_policy(examples, recipe=recipe, seed=seed)[0] for seed in (1, 2))
    assert not same_weights(one, other)
    assert one.fingerprint() != other.fingerprint()


def test_the_fit_keeps_to_one_thread(
    examples: list[Example], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Steps this small are forty times slower on two threads when another process wants a core.
    seen, threads = [], torch.get_num_threads()

    def spy(logits_N: Tensor, *_: Tensor) -> Tensor:
        seen.append(torch.get_num_threads())
        return logits_N.sum()

    monkeypatch.setattr(policy_fit, "loss", spy)
    torch.set_num_threads(2)
    try:
        fit_policy(examples[:1], recipe=PolicyRecipe(epochs=1))
        assert (seen, torch.get_num_threads()) == ([1], 2)
    finally:
        torch.set_num_threads(threads)


def test_a_fit_without_examples_is_refused() -> None:
    with pytest.raises(InputError, match="without examples"):
        fit_policy([])


def test_select_takes_the_highest_scores(fitted: Fitted) -> None:
    best = fitted[0].scores(observe(query(5))).argsort(descending=True)[:ACQ]
    assert fitted[0].select(query(5), ACQ, np.random.default_rng(0)).tolist() == best.tolist()
    assert fitted[0].choose(observe(query(5)), ACQ).tolist() == best.tolist()


def test_select_ranks_even_where_the_sigmoid_is_flat(fitted: Fitted) -> None:
    # A policy far from home may be sure of everything; in float32 all its scores are then 1.
    sure = Policy(C, D)
    sure.load_state_dict(fitted[0].state_dict())
    sure.state_dict()["layers.4.bias"] += 40
    expected = fitted[0].choose(observe(query(5)), ACQ)
    assert set(sure.choose(observe(query(5)), ACQ)) == set(expected)


@pytest.mark.parametrize(
    ("classes", "embedding", "message"),
    [
        (C, 64, f"embeddings of 64 dimensions, the classifier's have {D}"),
        (26, D, f"for 26 classes, the classifier has {C}"),
    ],
)
def test_a_policy_for_others_is_refused(classes: int, embedding: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Policy(classes, embedding).select(query(0), ACQ, np.random.default_rng(0))


def test_a_policy_that_reads_gradients_refuses_a_state_without() -> None:
    q = query(0)
    predictions = (q.logits_N_C, q.embedding_N_D, q.labelled_logits_L_C, q.labelled_embedding_L_D)
    state = describe(*predictions, torch.from_numpy(q.labels_L))
    with pytest.raises(InputError, match="head_weight_C_D"):
        Policy(C, D, CLASS_FREE).choose(state, ACQ)


def test_a_class_free_policy_takes_any_class_count() -> None:
    policy = Policy(C, D, CLASS_FREE)
    assert policy.scores(observe(query(0, classes=26))).shape == (N,)


@pytest.mark.parametrize("parts", [FULL, CLASS_FREE, StateParts(prediction=False)])
def test_a_policy_comes_back_from_its_file_bit_for_bit(tmp_path: Path, parts: StateParts) -> None:
    policy = Policy(C, D, parts)
    policy.scale.uniform_(0.5, 2)
    policy.about = {"seed": 7, "losses": [0.1, 0.2], "dataset": "mnist"}
    save_policy(policy, tmp_path / "one.safetensors")
    back = load_network(tmp_path / "one.safetensors")
    assert same_weights(back, policy)
    assert (back.about, back.parts, back.classes) == (policy.about, parts, C)
    assert torch.equal(back.scores(observe(query(0))), policy.scores(observe(query(0))))


def rewrite_header(path: Path, **header: object) -> None:
    whole = {"classes": C, "embedding": D, "hidden": 128, "parts": {}} | header
    tensors.save(load_file(path), {"policy": json.dumps(whole)}, path)


def rewrite_weights(path: Path, change: Callable[[Tensor], Tensor]) -> None:
    weights, header = tensors.load(path)
    tensors.save({name: change(weight) for name, weight in weights.items()}, header, path)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-100]),
    "tensors alone": lambda path: save_file(load_file(path), path),
    "empty": lambda path: path.write_bytes(b""),
    "other classes": lambda path: rewrite_header(path, classes=9, about={}),
    "no about": lambda path: rewrite_header(path),
    "NaN": lambda path: rewrite_weights(path, lambda weight: weight * torch.nan),
    "16 bits": lambda path: rewrite_weights(path, Tensor.half),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "mine.safetensors"
    save_policy(Policy(C, D), path)
    DAMAGE[damage](path)
    with pytest.raises(InputError, match=r"mine\.safetensors is not a readable policy"):
        load_policy(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no policy file at .*absent\.safetensors"):
        load_policy(tmp_path / "absent.safetensors")


def test_a_shipped_policy_is_found_by_name_or_the_nearest_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policies, "SHIPPED", (tmp_path,))
    save_policy(Policy(C, D), tmp_path / "mnist-cnn.safetensors")
    assert load_network("mnist-cnn").classes == C
    with pytest.raises(InputError, match="unknown policy 'mnist-cn'; did you mean 'mnist-cnn'"):
        load_policy("mnist-cn")


def test_the_generalist_has_no_network() -> None:
    with pytest.raises(InputError, match="the generalist has no policy network"):
        load_network(Generalist(torch.ones(len(NAMES), 2)))
