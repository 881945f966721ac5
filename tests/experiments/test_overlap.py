"""What batches share: by hand, and on real cycles."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from ialelib import cycle
from ialelib.cycle import CycleConfig
from ialelib.data import DataSet
from ialelib.experiments import overlap
from ialelib.experts import PAPER_EXPERTS
from ialelib.plots import overlap as overlap_plots
from ialelib.policy import Policy
from ialelib.utils.errors import InputError

SHORT = CycleConfig("mlp", initial=20, budget=45, acq=10, n=40)
BATCHES = {
    "policy": "1 2 3 4 5 6 7 8 9 10",
    "random": "11 12 13 14 15 16 17 18 1 20",
    "mc_dropout": "1 2 3 21 22 23 24 25 26 27",
    "ensemble": "1 2 4 31 32 33 34 35 36 37",
    "confidence": "3 5 41 42 43 44 45 46 47 48",
    "entropy": "5 6 41 42 43 44 45 46 47 48",
    "coreset": "11 51 52 53 54 55 56 57 58 59",
    "badge": "6 7 8 9 52 53 54 55 56 57",
}


def shares_by_hand(batch: str) -> dict[str, float]:
    rows = [{"dataset": "d", "seed": 0, "labels": 20, "strategy": s} for s in BATCHES]
    choices = pd.DataFrame(rows).assign(chosen=list(BATCHES.values()))
    table = overlap.shares(choices)
    return dict(table[table["batch"] == batch].set_index("part")["share"])


def policy() -> Policy:
    torch.manual_seed(1)
    return Policy(10, 128).eval()


@pytest.fixture(scope="module")
def choices(small_digits: DataSet, tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return overlap.run(small_digits, SHORT, policy(), [3, 4], tmp_path_factory.mktemp("runs"))


def test_shares_with_experts_by_hand() -> None:
    found = shares_by_hand("policy")
    expected = {"mc_dropout": 30, "ensemble": 30, "confidence": 20, "entropy": 20}
    expected |= {"coreset": 0, "badge": 40, "any": 90}
    assert {part: found[part] for part in expected} == pytest.approx(expected)


def test_what_only_one_family_chose_by_hand() -> None:
    # 1, 2 and 4 are the model combinations' alone, 5 the softmax's, 7, 8 and 9 diversity's.
    found = shares_by_hand("policy")
    expected = {"uncertainty": 30, "soft-max": 10, "diversity": 30}
    assert {part: found[part] for part in expected} == pytest.approx(expected)


def test_a_random_batch_is_the_reference() -> None:
    found = shares_by_hand("random")
    assert (found["any"], found["coreset"], found["mc_dropout"]) == pytest.approx((20, 10, 10))


def test_every_acquisition_has_a_batch_of_every_strategy(choices: pd.DataFrame) -> None:
    assert set(choices["strategy"]) == {"policy", "random", *PAPER_EXPERTS}
    moments = choices.groupby(["seed", "labels"])
    assert list(moments.groups) == [(seed, size) for seed in (3, 4) for size in (20, 30, 40)]
    assert (moments.size() == 8).all()
    lengths = choices["chosen"].str.split().map(lambda batch: len(set(batch)))
    assert (lengths == np.where(choices["labels"] == 40, 5, 10)).all()


def test_the_policy_leads_and_all_see_what_they_see_alone(
    choices: pd.DataFrame, small_digits: DataSet
) -> None:
    curve = cycle.run_cycle(small_digits, SHORT, "policy", 3, {"policy": policy()})
    led = choices[(choices["seed"] == 3) & (choices["strategy"] == "policy")]
    assert list(led["chosen"]) == [batch for batch in curve["chosen"] if batch]
    for name in ("ensemble", "badge", "random"):
        alone = cycle.run_cycle(small_digits, SHORT, name, 3)["chosen"].iloc[0]
        beside = choices[(choices["seed"] == 3) & (choices["strategy"] == name)]["chosen"].iloc[0]
        assert beside == alone


def test_finished_seeds_are_read_back(
    small_digits: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = overlap.run(small_digits, SHORT, policy(), [3], tmp_path)
    monkeypatch.setattr(overlap, "_choices", lambda *_: pytest.fail("a cycle was run"))
    again = overlap.run(small_digits, SHORT, policy(), [3], tmp_path)
    assert_frame_equal(first, again)


def test_a_policy_of_another_width_is_refused_before_training(
    small_digits: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="embeddings of 16 dimensions"):
        overlap.run(small_digits, SHORT, Policy(10, 16), [3], tmp_path)
    assert not list(tmp_path.iterdir())


def test_figure_has_a_panel_for_each_set_and_a_line_for_each_part(choices: pd.DataFrame) -> None:
    both = pd.concat([choices, choices.assign(dataset="other")])
    figure = overlap_plots.shares(overlap.shares(both), ["any", *overlap.FAMILIES])
    assert len(figure.axes) == 2
    for ax in figure.axes:
        assert "2 seeds" in ax.get_title()
        _, names = ax.get_legend_handles_labels()
        assert names[0] == "any expert"
        assert names[-1] == "a random batch and any expert"
        assert len(names) == 5
