"""Parameters of 10_own_pool."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from ialelib.cycle import CycleConfig
from ialelib.params import own
from ialelib.params.own import EmbeddingWidths, Labelling, OwnPool
from ialelib.utils.errors import InputError


def quick(notebook: str) -> dict[str, Any]:
    path = Path(__file__).parents[2] / "params" / "quick" / f"{notebook}.yaml"
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    return values


POOL, WIDTHS, LABELS = map(quick, ("10_own_pool", "16_embedding_widths", "17_labelling"))


def test_cycles_with_shorter_and_longer_training_share_all_else() -> None:
    settings = OwnPool.checked(POOL)
    assert settings.cycle_config() == CycleConfig(initial=20, budget=60, acq=10, n=100)
    assert settings.steps == [50, 200]
    widths = EmbeddingWidths.checked(WIDTHS)
    assert widths.cycle_config() == CycleConfig(initial=20, budget=40, acq=10, n=100)
    assert widths.steps == 50


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "fminst-10k"}, "parameter 'dataset': .*did you mean 'fmnist-10k'"),
        ({"policy": "mnist-cn"}, "parameter 'policy': .*did you mean 'mnist-cnn'"),
        ({"steps": []}, "parameter 'steps': the list must not be empty"),
        ({"steps": [50, 0]}, "parameter 'steps': 1 or more, not 0"),
        ({"seeds": []}, "parameter 'seeds': the list must not be empty"),
        ({"budget": 10}, "budget 10 is below the 20 initial labels"),
        ({"acq": 0}, "acq and n must be at least 1"),
        ({"n": 9000}, "'fmnist-10k' has 8000"),
    ],
)
def test_wrong_values_for_a_pool_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        OwnPool.checked(POOL | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "mnst"}, "parameter 'dataset': unknown data set"),
        ({"rules": ["pol"]}, "parameter 'rules': .*did you mean 'pool'"),
        ({"widths": [63]}, r"widths must be 64 to 512, not \[63\]"),
        ({"widths": [513]}, r"widths must be 64 to 512, not \[513\]"),
        ({"widths": []}, "parameter 'widths': the list must not be empty"),
        ({"rules": []}, "parameter 'rules': the list must not be empty"),
        ({"steps": 0}, "parameter 'steps': 1 or more, not 0"),
        ({"budget": 9000}, "'mnist-10k' has 8000"),
    ],
)
def test_wrong_values_for_widths_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EmbeddingWidths.checked(WIDTHS | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"acq": 101}, "exceeds the sub-pool of n = 100"), ({"n": 9000}, "has 8000")],
)
def test_a_batch_to_label_must_fit_the_pool(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Labelling.checked(LABELS | changes)


def test_labels_given_by_hand_are_kept_apart_from_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Labelling.checked(LABELS)
    monkeypatch.setattr(own, "watched", lambda: False)
    assert settings.label_file(tmp_path).parent == tmp_path
    monkeypatch.setattr(own, "watched", lambda: True)
    monkeypatch.setattr(own, "project", lambda: tmp_path / "project")
    assert settings.label_file(tmp_path) == tmp_path / "project/labels/fmnist-10k.sqlite"


def test_a_policy_that_the_same_batch_trains_need_not_be_there_yet() -> None:
    new = POOL | {"policy": "runs/new"}
    assert OwnPool.checked(new, made={"runs/new": None}).policy == "runs/new"
