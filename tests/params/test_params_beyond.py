"""Parameters of the notebook beyond the paper: what is refused before anything is run."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.params.beyond import BeyondThePaper, FromScratch, known_sources
from ialelib.params.comparing import Pools
from ialelib.policy import Policy, save_policy
from ialelib.search.tasks import SOURCES, Source
from ialelib.utils.errors import InputError

PROJECT = Path(__file__).parents[2]


def quick(name: str) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((PROJECT / f"params/quick/{name}.yaml").read_text())
    return values


QUICK = quick("19_beyond_the_paper")
SCRATCH = quick("20_from_scratch")
POOLS = quick("21_pools")


@pytest.fixture
def values(tmp_path: Path) -> dict[str, Any]:
    path = tmp_path / "some.safetensors"
    save_policy(Generalist(torch.ones(len(NAMES), 2)), path)
    return QUICK | {"policy": str(path)}


def test_the_policy_runs_as_generalist_beside_the_strategies(values: dict[str, Any]) -> None:
    params = BeyondThePaper.checked(values)
    assert params.names() == ["generalist", "random", "margin", "badge", "uherding", "coverage"]
    trained = Generalist(torch.zeros(len(NAMES), 2))
    assert params.generalist(trained) is not trained
    assert BeyondThePaper.checked(values | {"policy": None}).generalist(trained) is trained
    assert [config and config.tasks for config in params.training()] == [2, 2, 2]


def test_the_search_from_scratch_can_be_left_out(values: dict[str, Any]) -> None:
    with_it = BeyondThePaper.checked(values | {"scratch_generations": 3}).training()[2]
    assert with_it is not None
    assert with_it.generations == 3
    assert BeyondThePaper.checked(values | {"scratch_generations": 0}).training()[2] is None


def test_a_policy_that_the_batch_makes_need_not_be_there(values: dict[str, Any]) -> None:
    params = BeyondThePaper.checked(values | {"policy": "new"}, made={"new": None})
    assert params.policy == "new"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"save_policy": "new"}, "give 'policy' or 'save_policy', not both"),
        ({"policy": "mnist-cnn"}, "parameter 'policy': 'mnist-cnn' is no generalist"),
        ({"strategies": ["margin"]}, "parameter 'strategies': 'random', to compare with"),
        ({"strategies": ["random", "oracle"]}, "see 'oracle_seeds'"),
        ({"strategies": ["random", "ensemble"]}, "which the probe does not have"),
        ({"datasets": ["mnist-10k"]}, "must be apart; 'mnist-10k' is both"),
        ({"unseen": "mnist", "unseen_classes": [3]}, "apart; 'mnist-10k' is both"),
        ({"unseen": "kmnist"}, "go together: give both, or neither"),
        ({"unseen_classes": [3]}, "go together: give both, or neither"),
        ({"oracle_seeds": [7]}, "only some of 'seeds'"),
        ({"generations": 0}, "parameter 'generations': 1 or more"),
    ],
)
def test_what_cannot_run_is_refused(
    values: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        BeyondThePaper.checked(values | change)


def test_a_network_that_the_batch_makes_is_no_generalist(values: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="is no generalist"):
        BeyondThePaper.checked(values | {"policy": "new"}, made={"new": Policy(10, 128)})


EVEN = "cifar100-25k, 50 classes, 72fb35dd"


def trained_on(view: str, values: dict[str, Any]) -> dict[str, Any]:
    policy = Generalist(torch.ones(len(NAMES), 2), {"views": [EVEN, view]})
    save_policy(policy, Path(values["policy"]))
    return values


@pytest.mark.parametrize("name", ["fmnist-10k", "fmnist"])
def test_a_policy_that_learned_from_a_target_is_refused(values: dict[str, Any], name: str) -> None:
    with pytest.raises(InputError, match=f"also of 'policy', .* be apart; '{name}' is both"):
        BeyondThePaper.checked(trained_on(f"{name}, 10 classes, 0badcafe", values))


def test_odd_classes_are_unseen_by_a_policy_that_learned_from_even_ones_only(
    values: dict[str, Any],
) -> None:
    odd = {"unseen": "cifar100-25k", "unseen_classes": [20]}
    BeyondThePaper.checked(trained_on("mnist, 10 classes, 0badcafe", values) | odd)
    whole = trained_on("cifar100-25k, 100 classes, 0badcafe", values)
    with pytest.raises(InputError, match="apart; 'cifar100-25k' is both"):
        BeyondThePaper.checked(whole | odd)


def test_sources_of_the_passes_are_images_of_the_trainings_own_part() -> None:
    (images,) = FromScratch.checked(SCRATCH).source_images()
    assert (images.name, images.train_inputs.shape[1:]) == ("mnist-10k", (28, 28))
    mnist = known_sources(["mnist"])[0]
    assert mnist in SOURCES
    assert known_sources(["fmnist"]) == [Source("fmnist")]


def test_both_policies_run_beside_the_strategies() -> None:
    params = FromScratch.checked(SCRATCH)
    assert params.names() == ["generalist", "policy", "random", "badge", "uherding"]
    assert isinstance(params.policies()["generalist"], Generalist)
    assert isinstance(params.policies()["policy"], Policy)
    assert params.needs() == {"mnist-cnn"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": ["badge"]}, "'random', to compare with, and others"),
        ({"strategies": ["random", "generalist"]}, "'generalist', which runs in any case"),
        ({"strategies": ["random", "oracle"]}, "but not 'oracle'"),
        ({"budget": 20}, "parameter 'budget': more than the 20 initial labels"),
        ({"sizes": [100, 5]}, "exceeds the sub-pool of n = 5"),
        ({"sizes": [8000]}, "needs 8050 training samples"),
        ({"classifiers": ["toy_mlp"]}, "parameter 'policy': .*embedding"),
        ({"classifiers": ["cnn", "lenet"]}, "unknown classifier 'lenet'"),
        ({"policy": "generalist"}, "parameter 'policy': 'generalist' is a generalist"),
        ({"alil": "generalist"}, "parameter 'alil': 'generalist' is a generalist"),
    ],
)
def test_what_cannot_run_from_scratch_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        FromScratch.checked(SCRATCH | change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"strategies": ["policy", "entropy"]}, "'random' is missing"),
        ({"strategies": ["random", "entropy"]}, "parameter 'strategies': 'policy', and others"),
        ({"strategies": ["policy", "random", "oracle"]}, "but not 'oracle'"),
        ({"acq": 101}, "exceeds the sub-pool of n = 100"),
        ({"n": 8000}, "needs 8040 training samples"),
        ({"classifier": "toy_mlp"}, "parameter 'policy': .*embedding"),
    ],
)
def test_pools_that_cannot_be_compared_are_refused(change: dict[str, Any], message: str) -> None:
    assert Pools.checked(POOLS).policies().keys() == {"policy"}
    with pytest.raises(InputError, match=message):
        Pools.checked(POOLS | change)
