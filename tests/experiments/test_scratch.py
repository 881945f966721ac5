"""Cycles of classifiers trained from scratch: each is the single run, seed after seed."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from toys import TOY, untimed

from ialelib import cycle
from ialelib.data import DataSet
from ialelib.experiments import alil, scratch
from ialelib.policy import Policy
from ialelib.utils import cache
from ialelib.utils.errors import InputError

SHORT = replace(TOY, budget=30)


@pytest.fixture
def sets(toy: DataSet) -> list[DataSet]:
    return [toy, replace(toy, name="other")]


def run(sets: Sequence[DataSet], folder: Path) -> pd.DataFrame:
    names = ["random", "margin"]
    return scratch.run(
        sets, ["toy_mlp", "mlp"], [30, 60], SHORT, names, [0, 1], folder, policies={}
    )


def test_each_cycle_is_the_single_run_of_its_setting(sets: list[DataSet], tmp_path: Path) -> None:
    found = run(sets, tmp_path)
    assert len(found) == 2 * 2 * 2 * 2 * 2 * 2
    part = found.query("dataset == 'other, mlp' and n == 60 and strategy == 'margin' and seed == 1")
    config = replace(SHORT, classifier="mlp", n=60)
    single = cycle.run_cycle(sets[1], config, "margin", 1).assign(n=60, dataset="other, mlp")
    pd.testing.assert_frame_equal(untimed(part), untimed(single))


def test_one_seed_is_finished_before_the_next_begins(
    sets: list[DataSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[int] = []

    def noted(groups: Sequence[cache.Group], *_: object) -> pd.DataFrame:
        order.extend(int(path.stem.split("-")[-2]) for tasks, _ in groups for path in tasks)
        return pd.DataFrame({"n": []})

    monkeypatch.setattr(cache, "run_groups", noted)
    run(sets, tmp_path)
    assert order == [0] * 16 + [1] * 16


def test_alil_stands_beside_every_size(sets: list[DataSet], tmp_path: Path) -> None:
    torch.manual_seed(1)
    rival = Policy(2, 16, alil.PARTS).eval()
    found = scratch.run(
        *(sets[:1], ["toy_mlp"], [30, 60], SHORT, ["random"], [0], tmp_path, {}), rival=rival
    )
    single = alil.run(sets[0], SHORT, rival, [0], tmp_path)
    for n in (30, 60):
        part = found[(found["strategy"] == "alil") & (found["n"] == n)]
        assert part["accuracy"].tolist() == single["accuracy"].tolist()
        assert part["dataset"].unique().tolist() == ["toy, toy_mlp"]


def test_what_cannot_run_is_refused_before_anything_is_run(
    sets: list[DataSet], tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="acquisition size 10 exceeds the sub-pool of n = 5"):
        scratch.run(sets, ["toy_mlp"], [30, 5], SHORT, ["random"], [0], tmp_path, {})
    wide = Policy(2, 128, alil.PARTS).eval()
    with pytest.raises(InputError, match="128"):
        scratch.run(*(sets, ["toy_mlp"], [30], SHORT, ["random"], [0], tmp_path, {}), rival=wide)
    assert not list(tmp_path.iterdir())
