"""Parameters that compare several policies: what is refused before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import torch
from test_base import CYCLES

from ialelib import policy
from ialelib.params.comparing import ExpertAblation
from ialelib.state import CLASS_FREE
from ialelib.utils.errors import InputError

COMPARED: dict[str, Any] = CYCLES | {
    "datasets": ["mnist-10k"],
    "policies": ["mnist-cnn"],
    "strategies": ["random", "entropy"],
    "median": 1,
}


def test_policies_that_the_batch_makes_must_fit_as_well() -> None:
    values = COMPARED | {"policies": ["new"], "datasets": ["mnist-10k"]}
    assert ExpertAblation.checked(values, made={"new": policy.Policy(10, 128)}).policies == ["new"]
    with pytest.raises(InputError, match=r"parameter 'policies': .*is for 7 classes"):
        ExpertAblation.checked(values, made={"new": policy.Policy(7, 128)})
    with pytest.raises(InputError, match=r"parameter 'policies': .*reads embeddings of 64"):
        ExpertAblation.checked(values, made={"new": policy.Policy(10, 64)})


def test_policies_come_before_the_other_strategies() -> None:
    assert ExpertAblation.checked(COMPARED).names() == ["mnist-cnn", "random", "entropy"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"policies": ["mnist-cmn"]}, "parameter 'policies': .*mnist-cmn.* mnist-cnn"),
        ({"policies": []}, "one policy"),
        ({"policies": ["mnist-cnn", "mnist-cnn"]}, "different names"),
        ({"strategies": ["random", "random"]}, "different names"),
        ({"strategies": ["entrpy"]}, "parameter 'strategies': .* did you mean 'entropy'"),
        ({"strategies": ["policy"]}, "unknown strategy 'policy'"),
        ({"datasets": ["mnits-10k"]}, "parameter 'datasets': .* did you mean 'mnist-10k'"),
        ({"budget": 9000}, "'mnist-10k' has 8000"),
        ({"classifier": "toy_mlp"}, "parameter 'policies': .* reads embeddings of 128 dimensions"),
        ({"median": 2}, "odd number of acquisitions, not 2"),
        ({"median": 0}, "odd number of acquisitions, not 0"),
        ({"strategies": ["entropy"]}, "parameter 'strategies': 'random' is missing"),
        ({"budget": CYCLES["initial"]}, "parameter 'budget': more than the 20 initial labels"),
        ({"seeds": []}, "parameter 'seeds': the list must not be empty"),
        ({"seeds": [0, -1]}, "parameter 'seeds': seeds are 0 or more, not -1"),
        ({"seeds": [1, 1]}, "parameter 'seeds': the list names something twice"),
        ({"processes": 0}, "parameter 'processes': 1 to 1,024, not 0"),
        ({"budgt": 50}, "unknown parameter 'budgt'; did you mean 'budget'"),
    ],
)
def test_what_cannot_run_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ExpertAblation.checked(COMPARED | change)


def test_a_policy_for_other_classes_is_refused_unless_its_state_is_free_of_them(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    for name, network in (
        ("free", policy.Policy(26, 128, CLASS_FREE)),
        ("bound", policy.Policy(26, 128)),
    ):
        policy.save_policy(network, tmp_path / f"{name}.safetensors")
    free, bound = (str(tmp_path / f"{name}.safetensors") for name in ("free", "bound"))
    assert ExpertAblation.checked(COMPARED | {"policies": [free]}).policies == [free]
    with pytest.raises(InputError, match="this policy is for 26 classes, the classifier has 10"):
        ExpertAblation.checked(COMPARED | {"policies": [bound]})


def test_a_policy_that_the_same_batch_trains_need_not_be_there_yet() -> None:
    new = COMPARED | {"policies": ["runs/new"]}
    assert ExpertAblation.checked(new, made={"runs/new": None}).policies == ["runs/new"]
    with pytest.raises(InputError, match="runs/new"):
        ExpertAblation.checked(new)
