"""What is counted and timed of cycles and of policy training."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from toys import TINY, TOY

from ialelib import dagger
from ialelib.dagger import DaggerConfig
from ialelib.data import DataSet
from ialelib.experiments import alil, run_time
from ialelib.training import fit_many

METHODS = {
    "IALE": replace(TINY, experts=("entropy", "ensemble", "coreset")),
    "IALE warm": replace(TINY, ranking="warm"),
    "ALIL": alil.dagger_config(replace(TINY.cycle, budget=14), validation=50),
    "ALIL warm": alil.dagger_config(replace(TINY.cycle, budget=14), validation=50, ranking="warm"),
}


@pytest.mark.parametrize("name", METHODS)
def test_classifiers_are_counted_as_they_are_trained(
    toy: DataSet, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    config: DaggerConfig = METHODS[name]
    counted = {"scratch": 0, "tuned": 0}

    def counting(jobs, processes=1):  # type: ignore[no-untyped-def]
        for job in jobs:
            counted["tuned" if job.start else "scratch"] += 1
        return fit_many(jobs, processes)

    monkeypatch.setattr(dagger, "fit_many", counting)
    rollout = dagger.roll_out(toy, config, 2, None)
    assert run_time.trained(rollout, config) == (counted["scratch"], counted["tuned"])
    assert counted["scratch"] > 0


def test_an_episode_costs_its_labels(toy: DataSet, tmp_path: Path) -> None:
    methods = {name: METHODS[name] for name in ("IALE warm", "ALIL")}
    table = run_time.episodes(toy, methods, [1, 2], tmp_path)
    assert list(table["method"]) == ["IALE warm", "ALIL"] * 2
    assert list(table["labels"]) == [30, 4] * 2
    assert (table["seconds"] > 0).all()
    pd.testing.assert_frame_equal(run_time.episodes(toy, methods, [1, 2], tmp_path), table)
    cost = run_time.per_label(table)
    assert list(cost["labels"]) == [30, 4]
    # IALE: one from scratch for every ten labels, and up to three batches fine-tuned.
    few, many = cost["classifiers"]
    assert 0.2 <= few <= 0.4
    assert many == pytest.approx(10 + 1 / 4)
    alone = table[table["method"] == "ALIL"]
    assert cost["seconds"].iloc[1] == pytest.approx(alone["seconds"].sum() / 8)


def test_acquisitions_are_timed_by_their_medians() -> None:
    curves = pd.DataFrame(
        {
            "strategy": ["random"] * 4 + ["ensemble"] * 4,
            "fit_seconds": [1.0, 1.0, 9.0, 50.0, 2.0, 1.0, 1.0, 50.0],
            "query_seconds": [0.0, 0.0, 0.0, 0.0, 3.0, 4.0, 4.0, 0.0],
            "chosen": ["1", "2", "3", ""] * 2,
        }
    )
    table = run_time.per_acquisition(curves)
    assert table.to_numpy().tolist() == [["random", 1.0, 0.0, 1.0], ["ensemble", 1.0, 4.0, 5.0]]


def test_cycles_run_every_strategy(toy: DataSet, tmp_path: Path) -> None:
    found = run_time.cycles(toy, TOY, ["random", "entropy"], [0], tmp_path, {})
    assert list(found["strategy"].unique()) == ["random", "entropy"]
    assert (found["fit_seconds"] > 0).all()
