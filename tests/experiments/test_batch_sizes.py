"""One policy at several acquisition sizes and sub-pools."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toys import TOY, policy, untimed

from ialelib import cycle
from ialelib.data import DataSet
from ialelib.experiments import batch_sizes
from ialelib.experiments.batch_sizes import Size
from ialelib.utils.errors import InputError

PLAN = [
    Size(10, 30, ["policy", "random"], [0, 1]),
    Size(10, 10, ["policy"], [0, 1]),
    Size(5, 30, ["policy", "random"], [1]),
]


def curves(toy: DataSet, folder: Path, plan: list[Size] = PLAN) -> pd.DataFrame:
    return batch_sizes.run(toy, TOY, plan, folder, {"policy": policy(1)})


def test_every_size_is_the_cycle_of_that_size(toy: DataSet, tmp_path: Path) -> None:
    found = curves(toy, tmp_path)
    part = found[(found["acq"] == 5) & (found["strategy"] == "policy")]
    single = cycle.run_cycle(toy, replace(TOY, acq=5, n=30), "policy", 1, {"policy": policy(1)})
    pd.testing.assert_frame_equal(untimed(part).drop(columns=["acq", "n"]), untimed(single))
    assert set(zip(found["acq"], found["n"], strict=True)) == {(10, 30), (10, 10), (5, 30)}


def test_a_sub_pool_of_one_batch_leaves_no_choice(toy: DataSet, tmp_path: Path) -> None:
    plan = [Size(10, 10, ["policy", "random"], [0])]
    found = curves(toy, tmp_path, plan)
    one, other = (found[found["strategy"] == name] for name in ("policy", "random"))
    assert list(one["accuracy"]) == list(other["accuracy"])


def test_a_size_that_cannot_run_is_refused_before_any_runs(toy: DataSet, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="exceeds the sub-pool"):
        curves(toy, tmp_path, [*PLAN, Size(40, 30, ["policy"], [0])])
    assert not list(tmp_path.iterdir())


TINY = pd.DataFrame(
    [
        ("random", 10, 100, 0, 20, 0.4),
        ("random", 10, 100, 0, 30, 0.6),
        ("random", 10, 100, 1, 20, 0.4),
        ("random", 10, 100, 1, 30, 0.4),
        ("policy", 10, 500, 0, 20, 0.4),
        ("policy", 10, 500, 0, 30, 0.8),
        ("policy", 10, 500, 1, 20, 0.4),
        ("policy", 10, 500, 1, 30, 0.8),
        ("random", 5, 100, 0, 30, 0.6),
        ("random", 5, 100, 0, 25, 0.6),
        ("random", 5, 100, 0, 20, 0.4),
    ],
    columns=["strategy", "acq", "n", "seed", "labels", "accuracy"],
)


def test_areas_and_gains_at_unlike_steps() -> None:
    table = batch_sizes.aubc(TINY)
    found = table.set_index(["strategy", "acq", "seed"])
    assert found["aubc"].to_dict() == pytest.approx(
        {
            ("random", 10, 0): 0.5,
            ("random", 10, 1): 0.4,
            ("policy", 10, 0): 0.6,
            ("policy", 10, 1): 0.6,
            ("random", 5, 0): 0.55,
        }
    )
    gains = table[table["strategy"] == "policy"]["gain"]
    assert gains.tolist() == pytest.approx([0.1, 0.2])


def test_means_over_seeds_have_their_margins() -> None:
    means = batch_sizes.summary(batch_sizes.aubc(TINY))
    assert means["strategy"].tolist() == ["policy", "random", "random"]
    assert means["seeds"].tolist() == [2, 1, 2]
    assert means["gain"].tolist() == pytest.approx([0.15, 0, 0])
    margin = 12.706 * 0.05  # Student's t of one degree of freedom, times the standard error
    assert means["margin"].tolist() == pytest.approx([margin, np.nan, 0], rel=1e-4, nan_ok=True)


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ((TINY["strategy"] == "policy") | (TINY["seed"] == 0), "random sampling lacks"),
        ((TINY["acq"] == 10) | (TINY["labels"] < 30), "different ranges of labels"),
    ],
)
def test_curves_that_do_not_compare_are_refused(kept: pd.Series, message: str) -> None:
    with pytest.raises(InputError, match=message):
        batch_sizes.aubc(TINY[kept])
