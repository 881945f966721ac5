"""What notebooks 05 to 09 say of their published runs, computed anew from the committed tables."""

from pathlib import Path

import pandas as pd
import pytest

from ialelib import metrics, units

FOLDER = Path(__file__).parent.parent / "figures/cpu"


def compared(stem: str, reference: str = "random") -> pd.DataFrame:
    """AUBC, gain and p of each strategy, by its name."""
    return metrics.compare(units.read(FOLDER / f"{stem}.csv"), reference).set_index("strategy")


def test_leaving_a_family_of_experts_out_costs_nothing_that_ten_seeds_can_show() -> None:
    random = compared("08_ablation_experts_curves")
    assert (random["seeds"] == 10).all()
    full = "mnist-cnn-short"
    assert random.loc[full, "aubc"] == pytest.approx(0.562, abs=5e-4)
    assert random.loc[full, "gain"] == pytest.approx(0.018, abs=5e-4)
    assert random.loc[full, "p_holm"] == pytest.approx(0.016, abs=5e-4)
    partial = random.filter(regex="no_", axis=0)["gain"].round(3)
    assert (partial.min(), partial.max()) == (0.012, 0.018)
    assert (partial.idxmin(), partial.idxmax()) == ("mnist-cnn-no_softmax", "mnist-cnn-no_coreset")
    against_full = compared("08_ablation_experts_curves", full).filter(regex="no_", axis=0)
    assert against_full["gain"].abs().max() < 0.006
    assert (against_full["p_holm"] > 0.9).all()
