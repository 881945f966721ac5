"""Cycles with a plain torch classifier and `select` alone."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

from ialelib import metrics, policy
from ialelib.data import DataSet
from ialelib.experiments import own_pool
from ialelib.experiments import own_pool as width_gains
from ialelib.experiments.own_pool import Plan
from ialelib.utils import cache
from ialelib.utils.errors import InputError

PLAN = Plan(initial=20, budget=60, acq=20, n=50)


def network(width: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, width), nn.ReLU(), nn.Linear(width, 10))


def run(*given: Any) -> pd.DataFrame:
    return cache.run(own_pool.tasks(*given), 1, "cycles")


def test_strategies_are_paired_and_buy_each_image_once(
    small_digits: DataSet, tmp_path: Path
) -> None:
    given = {"random": None, "mnist-cnn": policy.load_policy("mnist-cnn")}
    curves = run(small_digits, network, 128, PLAN, given, [0, 1], tmp_path)
    grids = curves.groupby(["strategy", "seed"])["labels"].agg(tuple)
    assert set(grids) == {(20, 40, 60)}
    first = curves[curves["labels"] == 20]
    assert first.groupby("seed")["accuracy"].nunique().eq(1).all()
    assert first["chosen"].nunique() == 4
    for _, curve in curves.groupby(["strategy", "seed"]):
        assert len(set(" ".join(curve["chosen"]).split())) == 40
    last = curves[curves["labels"] == 60]
    assert last["accuracy"].mean() > first["accuracy"].mean() + 0.1


def test_finished_cycles_are_read_back_and_changed_ones_are_not(
    small_digits: DataSet, tmp_path: Path
) -> None:
    given = small_digits, network, 128
    once = run(*given, PLAN, {"random": None}, [0], tmp_path)
    (file,) = tmp_path.iterdir()
    file.write_text(file.read_text().replace("small-digits", "read-back"))
    again = run(*given, PLAN, {"random": None}, [0], tmp_path)
    assert set(again["dataset"]) == {"read-back"}
    np.testing.assert_array_equal(again["accuracy"], once["accuracy"])
    run(*given, replace(PLAN, acq=10), {"random": None}, [0], tmp_path)
    run(small_digits, network, 64, PLAN, {"random": None}, [0], tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_rules_run_at_every_width_but_the_policy_s_own(
    small_digits: DataSet, tmp_path: Path
) -> None:
    trained = policy.load_policy("mnist-cnn")
    curves = own_pool.run_widths(
        small_digits, network, [64, 128], ["pool", "pad"], PLAN, trained, [0], tmp_path
    )
    found = curves.groupby("width")["strategy"].unique().map(list).to_dict()
    assert found == {64: ["random", "pool", "pad"], 128: ["random", "pool"]}
    gains = width_gains.gains(curves)
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
        ({"initial": 0}, "does not fit a pool"),
        ({"acq": 60}, "does not fit a pool"),
        ({"budget": 590}, "does not fit a pool"),
        ({"budget": 70}, "a multiple of acq more"),
        ({"budget": 0}, "a multiple of acq more"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused(
    small_digits: DataSet, tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    plan = replace(PLAN, **changes)
    with pytest.raises(InputError, match=message):
        run(small_digits, network, 128, plan, {"random": None}, [0], tmp_path)
    assert not list(tmp_path.iterdir())
