"""What 11_training_cost and the README claim on cheaper training, from the committed tables."""

from pathlib import Path

from ialelib import metrics
from ialelib.experiments import training_cost
from ialelib.utils import cache

FOLDER = Path(__file__).parents[2] / "figures/cpu"


def test_growing_recipe_is_as_accurate_as_100_epochs_with_less_work() -> None:
    table = training_cost.gaps(cache.read_table(FOLDER / "11_training_cost_accuracies.csv"))
    growing = table[table["recipe"] == "growing"]
    assert sorted(zip(growing["dataset"], growing["labels"], strict=True)) == [
        (name, size) for name in ("fmnist", "mnist") for size in (100, 300, 1000)
    ]
    assert (growing["seeds"] == 10).all()
    assert (growing["gap"] > -0.005).all()
    assert (growing["work"] < 0.5).all()


def test_warm_ranking_is_not_significantly_worse() -> None:
    scores = cache.read_table(FOLDER / "11_training_cost_rankings.csv")
    warm = training_cost.agreement(scores).set_index("method").loc["warm 40"]
    assert warm["high"] > 0
    assert warm["agree"] > warm["chance"]


def test_cheap_policy_is_as_good_as_that_of_100_epochs() -> None:
    curves = cache.read_table(FOLDER / "11_training_cost_quality.csv")
    table = metrics.aubc_table(curves)
    assert len(table) == 10
    gap = table["mnist-cnn-warm"] - table["mnist-cnn-hundred"]
    assert gap.mean() > -0.005
