"""The figures on sizes and run times show what their tables hold."""

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from ialelib.experiments import batch_sizes
from ialelib.plots import run_time
from ialelib.plots import sizes as size_plots


@pytest.fixture(autouse=True)
def closed_figures() -> object:
    yield
    plt.close("all")


def curve(strategy: str, acq: int, n: int, seed: int = 0) -> pd.DataFrame:
    labels = [20, 30, 40] if acq == 10 else [20, 40]
    accuracy = [0.4 + seed / 10, 0.6, 0.7] if acq == 10 else [0.4, 0.7]
    cycle = {"dataset": "toy", "strategy": strategy, "acq": acq, "n": n, "seed": seed}
    return pd.DataFrame({**cycle, "labels": labels, "accuracy": accuracy})


CYCLES = [
    *(curve(name, 10, 100, seed) for name in ("policy", "random", "badge") for seed in (0, 1)),
    *(curve("policy", 10, 1000, seed) for seed in (0, 1)),
    curve("policy", 20, 100),
    curve("random", 20, 100),
]
CURVES = pd.concat(CYCLES, ignore_index=True)


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def sizes(ax: Any, side: str) -> list[float]:
    return [getattr(bar, f"get_{side}")() for bar in ax.patches]


def test_panels_are_by_batch_by_sub_pool_and_of_baselines() -> None:
    left, middle, right = size_plots.learning_curves(CURVES, acq=10, n=100).axes
    assert legend(left) == ["acq 10", "acq 20", "Random, acq 10"]
    assert legend(middle) == ["acq 10", "acq 10, n 1000", "Random, acq 10"]
    assert legend(right) == ["IALE policy", "Random", "BADGE"]
    # Only seed 0 has the size 20, so the others at that panel are of seed 0 as well.
    assert left.get_title() == "toy: the policy (1 seed, 95% intervals)"
    assert right.get_title() == "toy: acq 10, n 100 (2 seeds, 95% intervals)"
    assert np.asarray(left.lines[0].get_ydata()) == pytest.approx([0.4, 0.6, 0.7])
    assert np.asarray(middle.lines[0].get_ydata()) == pytest.approx([0.45, 0.6, 0.7])


def test_the_overview_begins_with_the_gains_and_baselines_share_a_place() -> None:
    more = pd.concat([CURVES, curve("badge", 20, 100)], ignore_index=True)
    figure = size_plots.overview(more, batch_sizes.aubc(more), acq=10, n=100)
    gains, by_size, by_sub_pool, first, second = figure.axes
    assert tuple(figure.get_size_inches()) == (12, 9)
    assert len(gains.get_yticklabels()) == 3
    assert legend(by_size) == ["acq 10", "acq 20", "Random, acq 10"]
    assert legend(by_sub_pool) == ["acq 10", "acq 10, n 1000", "Random, acq 10"]
    assert first.get_title() == "toy: acq 10, n 100\n(2 seeds, 95% intervals)"
    assert second.get_title() == "toy: acq 20, n 100\n(1 seed, 95% intervals)"
    assert first.get_ylim() == second.get_ylim()


def test_the_overview_of_one_size_and_no_baseline_has_the_gains_alone() -> None:
    part = CURVES[(CURVES["acq"] == 10) & (CURVES["n"] == 100) & (CURVES["strategy"] != "badge")]
    (ax,) = size_plots.overview(part, batch_sizes.aubc(part), acq=10, n=100).axes
    assert ax.get_xlabel() == "AUBC minus random sampling's at the same acq"


def test_panels_of_one_size_are_left_out() -> None:
    part = CURVES[(CURVES["n"] == 100) & (CURVES["strategy"] != "badge")]
    (ax,) = size_plots.learning_curves(part, acq=10, n=100).axes
    assert legend(ax) == ["acq 10", "acq 20", "Random, acq 10"]


def test_gains_have_a_row_for_each_size() -> None:
    (ax,) = size_plots.gains(batch_sizes.aubc(CURVES), n=100).axes
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["acq 10", "acq 10, n 1000", "acq 20"]


def test_bars_are_as_long_as_the_times() -> None:
    strategies = pd.DataFrame(
        {"strategy": ["random", "ensemble"], "train_seconds": [1.0, 1.0], "query_seconds": [0, 4.0]}
    )
    methods = pd.DataFrame(
        {"method": ["IALE", "ALIL"], "classifiers": [1.1, 10.2], "seconds": [0.5, 9.0]}
    )
    left, middle, right = run_time.costs(strategies, methods).axes
    assert sizes(left, "width") == [1.0, 1.0, 4.0, 0]
    assert sizes(middle, "height") == [0.5, 9.0]
    assert sizes(right, "height") == [1.1, 10.2]
