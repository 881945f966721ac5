"""The figures on the generalist show what their tables and weights hold."""

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.axes import Axes

from ialelib.experiments import proof
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.plots import generalist as plots

GAINS = {"random": 0.0, "badge": 0.1, "coverage": 0.2}


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    plt.close("all")


def curves(datasets: list[str], n: int) -> pd.DataFrame:
    """Strategies that gain the same at once; the oracle runs with the first seed only."""
    rows = [
        {"dataset": data, "n": n, "strategy": name, "seed": seed, "labels": labels}
        | {"accuracy": 0.5 + seed / 100 + gain * (labels > 10)}
        for data in datasets
        for name, gain in (GAINS | {"oracle": 0.3}).items()
        for seed in (0, 1)[: 1 + (name != "oracle")]
        for labels in (10, 20)
    ]
    return pd.DataFrame(rows)


def labels(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def test_gains_stand_in_order_with_the_oracle_as_a_line() -> None:
    table = proof.areas(pd.concat([curves(["a", "b"], n) for n in (300, 2000)]))
    axes = plots.gains(table).axes
    assert [ax.get_title() for ax in axes] == [
        f"{name}, n = {n}" for n in (300, 2000) for name in ("mean", "a", "b")
    ]
    assert labels(axes[0]) == ["BADGE", "Coverage"]
    lines = [np.asarray(line.get_xdata(), float) for line in axes[0].get_lines()]
    drawn = np.concatenate(lines)  # dots, and lines for nothing gained and for the oracle
    for gain in (0, 0.05, 0.1, 0.15):
        assert np.isclose(drawn, gain).any()


def test_many_panels_wrap_and_every_row_names_the_strategies() -> None:
    axes = plots.gains(proof.areas(curves(["a", "b"], 300)), columns=2).axes
    assert [ax.get_title().split(",")[0] for ax in axes] == ["mean", "a", "b"]
    assert labels(axes[0]) == labels(axes[2]) == ["BADGE", "Coverage"]
    assert axes[1].get_xlabel() == axes[2].get_xlabel() == "AUBC minus Random's"
    assert len({ax.get_xlim() for ax in axes}) == 1


def test_one_data_set_needs_no_mean_beside_it() -> None:
    (ax,) = plots.gains(proof.areas(curves(["a"], 300))).axes
    assert ax.get_title() == "a, n = 300"


def test_curves_are_the_gains_over_random_sampling() -> None:
    figure = plots.gain_curves(curves(["a", "b"], 300))
    axes = figure.axes
    assert [ax.get_title().split()[0] for ax in axes] == ["a", "b"]
    drawn = {tuple(np.round(np.asarray(line.get_ydata(), float), 6)) for line in axes[0].lines}
    assert {(0, 0.1), (0, 0.2), (0, 0.3)} <= drawn
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["BADGE", "Coverage", "Oracle"]


def test_the_search_shows_means_over_candidates_and_tasks() -> None:
    rows = [
        {"stage": stage, "generation": g, "candidate": c, "task": t}
        | {"gain": start + g / 10 + c / 100 + t / 1000}
        for stage, start in (("search", 0.0), ("scratch", 1.0))
        for g in range(3)
        for c in range(2)
        for t in range(2)
    ]
    axes = plots.search(pd.DataFrame(rows), window=3).axes
    assert [ax.get_title() for ax in axes] == ["frozen features", "also trained from scratch"]
    for ax, start in zip(axes, (0, 1), strict=True):
        means, smooth = (np.asarray(line.get_ydata(), float) for line in ax.get_lines()[:2])
        assert means - start == pytest.approx([0.0055, 0.1055, 0.2055])
        assert smooth - start == pytest.approx([0.0555, 0.1055, 0.1555])


def test_weights_are_sorted_and_of_length_1_early_and_late() -> None:
    weight_F_K = torch.zeros(len(NAMES), 2)
    weight_F_K[NAMES.index("density")] = torch.tensor([3.0, -1.0])
    weight_F_K[NAMES.index("entropy")] = torch.tensor([-4.0, 0.0])
    (ax,) = plots.weights(Generalist(weight_F_K)).axes
    assert (labels(ax)[0], labels(ax)[-1]) == ("entropy", "density")
    early, late = (np.asarray(line.get_xdata(), float) for line in ax.get_lines()[:2])
    assert (early[0], early[-1]) == pytest.approx((-0.8, 0.6))
    assert np.linalg.norm(late) == pytest.approx(1)
    assert late[-1] == pytest.approx((3 - np.log(20)) / np.hypot(3 - np.log(20), 4), rel=1e-3)


def test_weights_of_a_half_trained_classifier_are_shown_where_there_are_any() -> None:
    weight_F_K = torch.zeros(len(NAMES), 3)
    weight_F_K[NAMES.index("density"), 2] = 4.0
    weight_F_K[NAMES.index("entropy"), 0] = 1.0
    (ax,) = plots.weights(Generalist(weight_F_K)).axes
    early, late, untrained = (np.asarray(line.get_xdata(), float) for line in ax.get_lines()[:3])
    assert (early == late).all()
    assert sorted(untrained)[-2:] == pytest.approx([1 / np.sqrt(5), 2 / np.sqrt(5)])
    _, texts = ax.get_legend_handles_labels()
    assert texts[-1] == "20, half of them missed"
