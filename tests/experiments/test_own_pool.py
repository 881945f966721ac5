"""Cycles with a plain torch classifier and `next_batch` alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn
from toys import rewritten

from ialelib import metrics, policy
from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.experiments import own_pool
from ialelib.utils import cache
from ialelib.utils.errors import InputError

SIZES = CycleConfig(initial=20, budget=60, acq=20, n=50)
STEPS = 200


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, width), nn.ReLU(), nn.Linear(width, 10))


def run(*given: Any) -> pd.DataFrame:
    return cache.run(own_pool.Setup(*given[:5]).tasks(*given[5:]), 1, "cycles")


def test_strategies_are_paired_and_buy_each_image_once(
    small_digits: DataSet, tmp_path: Path
) -> None:
    given = {"random": None} | {
        name: policy.load_policy(name) for name in ("mnist-cnn", "generalist")
    }
    curves = run(small_digits, network, 128, SIZES, STEPS, given, [0, 1], tmp_path)
    grids = curves.groupby(["strategy", "seed"])["labels"].agg(tuple)
    assert set(grids) == {(20, 40, 60)}
    first = curves[curves["labels"] == 20]
    assert first.groupby("seed")["accuracy"].nunique().eq(1).all()
    assert first["chosen"].nunique() == 6
    for _, curve in curves.groupby(["strategy", "seed"]):
        assert len(set(" ".join(curve["chosen"]).split())) == 40
    last = curves[curves["labels"] == 60]
    assert last["accuracy"].mean() > first["accuracy"].mean() + 0.1


def test_finished_cycles_are_read_back_and_changed_ones_are_not(
    small_digits: DataSet, tmp_path: Path
) -> None:
    given = small_digits, network, 128
    once = run(*given, SIZES, STEPS, {"random": None}, [0], tmp_path)
    (file,) = tmp_path.iterdir()
    rewritten(file, "small-digits", "read-back")
    again = run(*given, SIZES, STEPS, {"random": None}, [0], tmp_path)
    assert set(again["dataset"]) == {"read-back"}
    np.testing.assert_array_equal(again["accuracy"], once["accuracy"])
    run(*given, replace(SIZES, acq=10), STEPS, {"random": None}, [0], tmp_path)
    run(small_digits, network, 64, SIZES, STEPS, {"random": None}, [0], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_rules_run_at_every_width_but_the_policy_s_own(
    small_digits: DataSet, tmp_path: Path
) -> None:
    trained = policy.load_network("mnist-cnn")
    curves = own_pool.run_widths(
        small_digits, network, [64, 128], ["pool", "pad"], SIZES, STEPS, trained, [0], tmp_path
    )
    found = curves.groupby("width")["strategy"].unique().map(list).to_dict()
    assert found == {64: ["random", "pool", "pad"], 128: ["random", "pool"]}
    gains = own_pool.gains(curves)
    assert len(gains) == 3
    areas = {
        name: metrics.aubc(curve["labels"].to_numpy(), curve["accuracy"].to_numpy())
        for name, curve in curves[curves["width"] == 64].groupby("strategy")
    }
    row = gains[(gains["width"] == 64) & (gains["strategy"] == "pad")]
    assert row["gain"].item() == pytest.approx(areas["pad"] - areas["random"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"initial": 0}, "at least 1"),
        ({"acq": 60}, "exceeds the sub-pool of n = 50"),
        ({"budget": 590}, "has 600"),
        ({"budget": 10}, "below the 20 initial labels"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(
    small_digits: DataSet, tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    sizes = replace(SIZES, **changes)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=message):
        run(small_digits, network, 128, sizes, STEPS, {"random": None}, [0], tmp_path)
    assert not list(tmp_path.iterdir())
