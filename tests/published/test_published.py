"""What the README and the cards claim, computed anew from the committed tables."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from torch import nn

from ialelib import metrics, policy
from ialelib.experts import PAPER_EXPERTS
from ialelib.utils import cache

ROOT = Path(__file__).parents[2]
CURVES = {
    "02_policy_training_curves": "mnist",
    "03_transfer_datasets_curves": "fmnist",
}
TABLES = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("figures/cpu/**/*.csv"))


@pytest.fixture(scope="module", params=CURVES)
def published(request: pytest.FixtureRequest) -> pd.DataFrame:
    curves = cache.read_table(ROOT / "figures/cpu" / f"{request.param}.csv")
    return curves[curves["dataset"] == CURVES[request.param]]


def test_all_strategies_have_the_same_ten_seeds(published: pd.DataFrame) -> None:
    (dataset,) = set(published["dataset"])
    beyond = {"alil"} if dataset == "fmnist" else set()
    assert set(published["strategy"]) == {"policy", "random", *PAPER_EXPERTS} | beyond
    assert (published.groupby("strategy")["seed"].nunique() >= 10).all()
    assert set(published["labels"]) == set(range(20, 301, 10))


def test_strategies_of_a_seed_start_from_the_same_classifier(published: pd.DataFrame) -> None:
    first = published[published["labels"] == 20]
    assert all(len(set(same)) == 1 for _, same in first.groupby("seed")["accuracy"])


def test_no_sample_was_bought_twice(published: pd.DataFrame) -> None:
    for _, curve in published.groupby(["strategy", "seed"]):
        bought = " ".join(curve["chosen"]).split()
        assert len(set(bought)) == len(bought) == 280


@pytest.mark.parametrize("name", TABLES)
def test_every_table_says_where_it_comes_from(name: str) -> None:
    table = pd.read_csv(ROOT / name, dtype=str, keep_default_na=False)
    sources = table[["dataset", "seed", "profile", "params", "commit", "machine", "versions"]]
    assert (sources != "").all(axis=None)
    assert set(table["profile"]) == {"cpu"}
    assert not table["commit"].str.contains("unknown").any()


def test_policy_beats_random_on_mnist() -> None:
    curves = cache.read_table(ROOT / "figures/cpu/02_policy_training_curves.csv")
    table = metrics.paired_tests(curves).set_index("strategy")
    assert table["gain"].to_dict()["policy"] >= 0.025
    assert table["p_holm"].to_dict()["policy"] < 0.05


def test_card_names_the_weights_it_belongs_to() -> None:
    card = (ROOT / "policies/mnist-cnn.md").read_text()
    assert policy.load_policy("mnist-cnn").fingerprint() in card


def test_readme_example_runs() -> None:
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert code is not None
    assert code[1].strip().count("\n") < 10
    last = nn.Linear(200, 10)
    names: dict[str, object] = {
        "classifier": nn.Sequential(nn.Flatten(), nn.Linear(784, 200), nn.ReLU(), last),
        "images": np.zeros((1000, 28, 28), dtype=np.uint8),
        "labelled": np.arange(100),
        "labels": np.arange(100) % 10,
    }
    exec(code[1], names)
    chosen = names["batch"]
    assert isinstance(chosen, np.ndarray)
    assert len(np.unique(chosen)) == 10
    assert chosen.min() >= 100
