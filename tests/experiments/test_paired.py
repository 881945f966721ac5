"""Many cycles at once: the same as one by one, resumed, and never mixed up."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from toys import TOY, chosen, policy, untimed

from ialelib import cycle
from ialelib.cycle import CycleConfig, run_cycle
from ialelib.data import DataSet, toy_gaussians
from ialelib.experiments import paired
from ialelib.utils.cache import read_table
from ialelib.utils.errors import InputError
from ialelib.utils.machine import commit

NAMES = ("random", "coreset")


def many(data: DataSet, folder: Path, config: CycleConfig = TOY) -> pd.DataFrame:
    return paired.compare(data, config, NAMES, [0], folder)


def one_by_one(data: DataSet, config: CycleConfig, seeds: Sequence[int] = (0,)) -> pd.DataFrame:
    return pd.concat([run_cycle(data, config, name, seed) for seed in seeds for name in NAMES])


def test_many_in_two_processes_are_the_single_runs(toy: DataSet, tmp_path: Path) -> None:
    found = paired.compare(toy, TOY, NAMES, [0, 1], tmp_path, processes=2)
    expected = one_by_one(toy, TOY, seeds=(0, 1))
    assert_frame_equal(untimed(found), untimed(expected), check_exact=True)


def test_finished_cycles_are_read_back_to_the_last_digit(
    toy: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves = [run_cycle(toy, TOY, name, 0) for name in NAMES]
    left = iter(curves)  # a third call would find nothing
    monkeypatch.setattr(cycle, "run_cycle", lambda *_: next(left))
    many(toy, tmp_path)
    back = many(toy, tmp_path).drop(columns=["commit", "core"])
    assert_frame_equal(back, pd.concat(curves, ignore_index=True), check_exact=True)


def test_each_cycle_says_by_which_commit_it_was_run(
    toy: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ialelib.utils.cache.commit", lambda: "early")
    paired.compare(toy, TOY, ["random"], [0], tmp_path)
    monkeypatch.setattr("ialelib.utils.cache.commit", lambda: "late")
    found = paired.compare(toy, TOY, NAMES, [0], tmp_path)
    by = found.groupby("strategy")["commit"].unique().map(list)
    assert by.to_dict() == {"random": ["early"], "coreset": ["late"]}


def test_a_table_of_a_version_without_commits_is_still_read(toy: DataSet, tmp_path: Path) -> None:
    paired.compare(toy, TOY, ["random"], [0], tmp_path)
    (path,) = tmp_path.glob("*.csv")
    assert set(read_table(path)["commit"]) == {commit()}
    read_table(path).drop(columns="commit").to_csv(path, index=False)
    assert set(read_table(path)["commit"]) == {"unknown"}


@pytest.mark.parametrize("change", [{"acq": 5}, {"n": 31}, {"budget": 30}, {"recipe": "fast"}])
def test_another_setting_does_not_reuse_old_files(
    toy: DataSet, tmp_path: Path, change: dict[str, object]
) -> None:
    many(toy, tmp_path)
    config = replace(TOY, **change)  # type: ignore[arg-type]
    found, expected = many(toy, tmp_path, config), one_by_one(toy, config)
    assert_frame_equal(untimed(found), untimed(expected), check_exact=True)


def test_other_data_of_that_name_and_size_reuses_nothing(toy: DataSet, tmp_path: Path) -> None:
    # A replaced array file, or the toy set with another overlap.
    many(toy, tmp_path)
    other = toy_gaussians(300, 200, overlap=0.6)
    found, expected = many(other, tmp_path), one_by_one(other, TOY)
    assert_frame_equal(untimed(found), untimed(expected), check_exact=True)


def test_another_policy_of_that_name_does_not_reuse_old_files(toy: DataSet, tmp_path: Path) -> None:
    for seed in (1, 2):
        found = paired.compare(toy, TOY, ["policy"], [0], tmp_path, {"policy": policy(seed)})
        expected = run_cycle(toy, TOY, "policy", 0, {"policy": policy(seed)})
        assert chosen(found) == chosen(expected)


@pytest.mark.parametrize("names", [["random", "bagde"], ["random", "policy"]])
def test_many_refuse_what_one_cannot_run_before_anything_is_run(
    toy: DataSet, tmp_path: Path, names: list[str]
) -> None:
    given = {"policy": policy(0, embedding=128)}
    with pytest.raises(InputError, match=r"unknown strategy 'bagde'|embeddings of 128"):
        paired.compare(toy, TOY, names, [0], tmp_path, given)
    assert list(tmp_path.iterdir()) == []


def test_several_data_sets_make_one_table_and_are_all_checked_first(
    toy: DataSet, tmp_path: Path
) -> None:
    second = replace(toy_gaussians(100, 100, seed=3), name="other")
    found = paired.compare([toy, second], TOY, NAMES, [0], tmp_path)
    parts = [paired.compare(data, TOY, NAMES, [0], tmp_path) for data in (toy, second)]
    assert_frame_equal(found, pd.concat(parts, ignore_index=True), check_exact=True)
    small = replace(toy_gaussians(35, 100, seed=3), name="small")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="'small' has 35"):
        paired.compare([toy, small], TOY, NAMES, [1], tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_data_sets_of_any_file_name_are_read_back_but_none_leads_elsewhere(
    toy: DataSet, tmp_path: Path
) -> None:
    odd, folder = replace(toy, name="set#2"), tmp_path / "cycles"
    once = paired.compare(odd, TOY, ["random"], [0], folder)
    again = paired.compare(odd, TOY, ["random"], [0], folder)
    pd.testing.assert_frame_equal(once, again)
    with pytest.raises(InputError, match="makes no file name"):
        paired.compare(replace(toy, name="../../esc"), TOY, ["random"], [0], folder)


def test_a_seed_counts_once(toy: DataSet) -> None:
    with pytest.raises(InputError, match="a seed stands twice"):
        paired.compare(toy, TOY, ["random"], [0, 0])
