"""The figure of both pools: a full and an open dot for each strategy, at its gain."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from ialelib.experiments import proof
from ialelib.experiments.pools import SUFFIX
from ialelib.plots import pools as plots

GAINS = {"random": 0.0, "badge": 0.1, "badge" + SUFFIX: -0.05, "policy": 0.04}
GAINS |= {"policy" + SUFFIX: 0.06}


def test_each_strategy_has_its_gain_from_both_pools() -> None:
    rows = [
        {"dataset": data, "n": 100, "strategy": name, "seed": seed, "labels": labels}
        | {"accuracy": 0.5 + seed / 100 + gain}
        for data in ("a", "b")
        for name, gain in GAINS.items()
        for seed in (0, 1)
        for labels in (10, 20)
    ]
    axes = plots.gains(proof.areas(pd.DataFrame(rows))).axes
    assert [ax.get_title() for ax in axes] == ["mean", "a", "b"]
    assert [text.get_text() for text in axes[0].get_yticklabels()] == ["IALE policy", "BADGE"]
    dots = {
        (line.get_marker(), round(np.mean(np.asarray(line.get_ydata(), float)))): np.asarray(
            line.get_xdata(), float
        )
        for line in axes[0].get_lines()
        if line.get_marker() in ("o", "D")
    }
    expected = {("o", 0): 0.04, ("D", 0): 0.06, ("o", 1): 0.1, ("D", 1): -0.05}
    assert dots.keys() == expected.keys()
    assert all(np.isclose(dots[key], gain) for key, gain in expected.items())
    plt.close("all")
