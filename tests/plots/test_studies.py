"""What the figures of 05 to 07 and 13 show, read back from their panels."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection

from ialelib.dagger import DaggerConfig
from ialelib.metrics import median_filtered
from ialelib.plots import studies


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture
def curves() -> pd.DataFrame:
    """Two seeds of two strategies on two data sets, each with a peak that a median removes."""
    peak = {20: 0.2, 30: 0.9, 40: 0.4, 50: 0.5, 60: 0.6}
    rows = [
        {"dataset": data, "strategy": name, "seed": seed, "labels": labels, "accuracy": value}
        for data in ("mnist", "fmnist")
        for name in ("mnist-cnn", "random")
        for seed in (0, 1)
        for labels, value in peak.items()
    ]
    return pd.DataFrame(rows)


def test_raw_and_filtered_curves_lie_side_by_side(curves: pd.DataFrame) -> None:
    axes = studies.filtered_curves(curves, 3).axes
    assert [ax.get_title().split()[0] for ax in axes] == ["mnist", "mnist", "fmnist", "fmnist"]
    one = curves[(curves["seed"] == 0) & (curves["strategy"] == "random")].head(5)
    for ax, expected in zip(axes, [one, median_filtered(one, 3)] * 2, strict=True):
        drawn = ax.get_lines()[0].get_ydata()
        np.testing.assert_allclose(np.asarray(drawn, float), expected["accuracy"])
    assert [ax.get_legend() is None for ax in axes] == [True, False, True, False]


def test_a_window_of_one_shows_the_curves_once(curves: pd.DataFrame) -> None:
    assert len(studies.filtered_curves(curves, 1).axes) == 2


def test_the_enlarged_segment_holds_the_second_half_and_nothing_else(curves: pd.DataFrame) -> None:
    enlarged = studies.filtered_curves(curves, 3, enlarge=True).axes[2]
    assert enlarged.get_xlim() == (40, 60)
    low, high = enlarged.get_ylim()
    assert 0.45 < low < 0.5 < 0.55 < high < 0.6  # the medians of the late three are 0.5 to 0.55


def test_schedules_draw_what_algorithm_1_would_toss() -> None:
    decay = DaggerConfig(p="decay", episodes=2)
    (ax,) = studies.schedules({"fixed": DaggerConfig(episodes=2), "falling": decay}, 4).axes
    fixed, falling = (np.asarray(line.get_ydata(), float) for line in ax.get_lines())
    np.testing.assert_allclose(fixed, [1, 0.5, 0.5, 0.5])
    np.testing.assert_allclose(falling, [1, 0.9**2, 0.9**3, 0.9**4])
    dots = [drawn for drawn in ax.collections if isinstance(drawn, PathCollection)]
    assert [list(drawn.get_sizes()) for drawn in dots] == [[50, 50, 8, 8]] * 2


def test_gains_by_width_are_drawn_at_their_means() -> None:
    rows = [
        {"dataset": "mnist", "width": width, "strategy": rule, "seed": seed, "gain": gain + seed}
        for width, rule, gain in [(64, "pool", 1.0), (64, "pad", 2.0), (128, "pool", 3.0)]
        for seed in (0, 2)
    ]
    (ax,) = studies.width_gains(pd.DataFrame(rows)).axes
    means = [line.get_ydata() for line in ax.get_lines() if line.get_marker() in ("o", "s")]
    drawn = [value for line in means for value in np.asarray(line, float) if np.isfinite(value)]
    assert sorted(drawn) == [2, 3, 4]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["64", "128"]
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["pool", "pad"]
