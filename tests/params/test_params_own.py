"""Parameters of 10_own_pool."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ialelib.experiments.own_pool import Plan
from ialelib.params import notebooks
from ialelib.params.notebooks import OwnPool
from ialelib.utils.errors import InputError

QUICK = yaml.safe_load((Path(__file__).parents[2] / "params/quick/10_own_pool.yaml").read_text())


def test_plans_share_all_but_the_budget() -> None:
    settings = OwnPool.of(QUICK)
    assert settings.plans() == [
        Plan(initial=20, budget=60, acq=10, n=100, steps=steps) for steps in (50, 200)
    ]
    assert settings.width_plan() == Plan(initial=20, budget=40, acq=10, n=100, steps=50)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "fminst-10k"}, "parameter 'dataset': .*did you mean 'fmnist-10k'"),
        ({"width_dataset": "mnst"}, "parameter 'width_dataset': unknown data set"),
        ({"policy": "mnist-cn"}, "parameter 'policy': .*did you mean 'mnist-cnn'"),
        ({"rules": ["pol"]}, "parameter 'rules': .*did you mean 'pool'"),
        ({"widths": [63]}, r"widths must be 64 to 512, not \[63\]"),
        ({"widths": [513]}, r"widths must be 64 to 512, not \[513\]"),
        ({"widths": []}, "widths, rules"),
        ({"rules": []}, "widths, rules"),
        ({"budget": 65}, "a multiple of acq more"),
        ({"width_budget": 65}, "a multiple of acq more"),
        ({"n": 9000}, "does not fit a pool of 8000"),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OwnPool.of(QUICK | changes)


def test_labels_given_by_hand_are_kept_apart_from_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = OwnPool.of(QUICK)
    monkeypatch.setattr(notebooks, "watched", lambda: False)
    assert settings.label_file(tmp_path).parent == tmp_path
    monkeypatch.setattr(notebooks, "watched", lambda: True)
    monkeypatch.setattr(notebooks, "project", lambda: tmp_path / "project")
    assert settings.label_file(tmp_path) == tmp_path / "project/labels/fmnist-10k.sqlite"


def test_a_policy_that_the_same_batch_trains_need_not_be_there_yet() -> None:
    assert (
        OwnPool.checked(QUICK | {"policy": "runs/new"}, made={"runs/new": None}).policy
        == "runs/new"
    )
