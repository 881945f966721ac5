"""One active-learning cycle, and many of them, paired and resumable."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal
from toys import TOY, chosen, policy, untimed

from ialelib import cycle as cycles
from ialelib import policy as policies
from ialelib.cycle import Cycle, CycleConfig, replay, run_cycle
from ialelib.data import DataSet
from ialelib.experts import EXPERTS, Query
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.recipes import recipe
from ialelib.training import correct_mask, fit
from ialelib.utils.errors import InputError

SETTING = CycleConfig("mlp", initial=20, budget=40, acq=10, n=30, recipe="fast")
PROJECT = Path(__file__).parent.parent
COLUMNS = "dataset classifier strategy seed labels accuracy fit_seconds query_seconds chosen"
Seen = list[tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycles, "fit_many", lambda *_: pytest.fail("a classifier was trained"))


def shown_to(name: str, monkeypatch: pytest.MonkeyPatch) -> Seen:
    seen, real = [], EXPERTS[name]

    def watched(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
        seen.append((query.inputs_N, query.labelled_inputs_L))
        return real(query, acq, rng)

    monkeypatch.setitem(EXPERTS, name, watched)
    return seen


def test_a_curve_has_a_row_for_every_size_of_the_labelled_set(small_digits: DataSet) -> None:
    curve = run_cycle(small_digits, SETTING, "entropy", seed=3)
    assert curve.columns.tolist() == COLUMNS.split()
    assert curve["labels"].tolist() == [20, 30, 40]
    assert [len(batch.split()) for batch in curve["chosen"]] == [10, 10, 0]
    assert curve["accuracy"].between(0.3, 1).all(), "an MLP on 20 digits is far above chance"
    assert (curve["fit_seconds"] > 0).all()


@pytest.mark.parametrize("name", ["random", "entropy", "mc_dropout", "ensemble", "badge"])
def test_no_sample_is_labelled_twice(small_digits: DataSet, name: str) -> None:
    labelled = [*Cycle(small_digits, SETTING, 0).pool.labelled]
    labelled += chosen(run_cycle(small_digits, SETTING, name, seed=0))
    assert len(set(labelled)) == len(labelled) == 40


@pytest.mark.parametrize("name", ["mc_dropout", "badge"])
def test_embeddings_of_half_precision_are_chosen_from(small_digits: DataSet, name: str) -> None:
    train, test = (
        (half.reshape(len(half), -1) / 64).astype(np.float16)
        for half in (small_digits.train_inputs, small_digits.test_inputs)
    )
    embedded = replace(small_digits, train_inputs=train, test_inputs=test)
    curve = run_cycle(embedded, SETTING, name, seed=0)
    assert curve["accuracy"].between(0.3, 1).all()
    wide = replace(embedded, train_inputs=train.astype(np.float32))
    assert chosen(run_cycle(wide, SETTING, name, seed=0)) == chosen(curve)


def test_the_last_batch_is_cut_to_the_budget(toy: DataSet) -> None:
    curve = run_cycle(toy, replace(TOY, budget=43), "random", seed=0)
    assert curve["labels"].tolist() == [20, 30, 40, 43]
    assert [len(batch.split()) for batch in curve["chosen"]] == [10, 10, 3, 0]


def test_the_pool_can_be_used_up_to_the_last_sub_pool(toy: DataSet) -> None:
    # 20 labels and 9 batches of 30; before the last batch, 300 - 260 = 40 samples are left.
    curve = run_cycle(toy, replace(TOY, budget=290, acq=30, n=40), "coreset", seed=0)
    assert curve["labels"].iloc[-1] == 290
    with pytest.raises(InputError, match="needs 301 training samples"):
        Cycle(toy, replace(TOY, budget=290, acq=30, n=41), seed=0)


def test_strategies_share_the_first_labels_sub_pool_and_accuracy(
    toy: DataSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [shown_to(name, monkeypatch) for name in ("random", "coreset")]
    curves = [run_cycle(toy, TOY, name, seed=0) for name in ("random", "coreset")]
    for one, other in zip(seen[0][0], seen[1][0], strict=True):
        assert np.array_equal(one, other)
    assert curves[0]["accuracy"][0] == curves[1]["accuracy"][0]
    assert chosen(curves[0]) != chosen(curves[1])


def test_the_same_seed_gives_the_same_curve(toy: DataSet) -> None:
    one, other = (untimed(run_cycle(toy, TOY, "badge", seed=0)) for _ in range(2))
    assert_frame_equal(one, other, check_exact=True)


def test_different_seeds_share_nothing(toy: DataSet) -> None:
    one, other = (Cycle(toy, TOY, seed) for seed in (0, 1))
    assert not np.array_equal(one.pool.labelled, other.pool.labelled)
    assert not np.array_equal(one.sub_pool(), other.sub_pool())
    assert one.job().weights != other.job().weights


def test_all_batches_are_tried_from_the_same_weights(toy: DataSet) -> None:
    cycle = Cycle(toy, TOY, seed=0)
    assert len({cycle.job(batch).weights for batch in ([], [50], [60], [60, 70])}) == 1


def test_a_temporary_classifier_is_the_next_one_bit_for_bit(toy: DataSet) -> None:
    cycle = Cycle(toy, TOY, seed=0)
    batch = cycle.sub_pool()[[7, 3, 5]]
    before = fit(cycle.job(batch)).state_dict()
    cycle.pool.label(batch)
    after = fit(cycle.job()).state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_validation_samples_are_never_offered(toy: DataSet) -> None:
    cycle = Cycle(toy, replace(TOY, n=230, budget=30), seed=0, validation=50)
    used = [*cycle.validation, *cycle.pool.labelled, *cycle.sub_pool()]
    assert sorted(used) == list(range(300))


def test_replay_gives_the_last_classifier_and_labels(toy: DataSet) -> None:
    curve = run_cycle(toy, TOY, "entropy", seed=0)
    model, labelled = replay(toy, TOY, curve)
    hits = correct_mask(model, toy.test_inputs, toy.test_labels, recipe("toy"))
    assert hits.mean() == curve["accuracy"].iloc[-1]
    assert len(labelled) == 40 == len({*chosen(curve), *labelled})


def test_the_generalists_file_is_read_once_in_a_cycle_and_anew_in_the_next(
    toy: DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = []

    def noted(name: str) -> policies.AnyPolicy:
        reads.append(name)
        return policies.load_policy(name)

    monkeypatch.setattr(cycles, "load_policy", noted)
    monkeypatch.setattr(policies, "SHIPPED", (tmp_path,))
    curves = []
    for weight in (1.0, -1.0):
        opposite = Generalist(torch.full((len(NAMES), 2), weight))
        policies.save_policy(opposite, tmp_path / "generalist.safetensors")
        curves.append(run_cycle(toy, TOY, "generalist", seed=0))
        assert len(curves[-1]) == 3
    assert reads == ["generalist"] * 2
    assert chosen(curves[0]) != chosen(curves[1])


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(("name", "right"), [("polic", "policy"), ("entrpy", "entropy")])
def test_an_unknown_strategy_gets_the_nearest_name(toy: DataSet, name: str, right: str) -> None:
    with pytest.raises(InputError, match=f"unknown strategy '{name}'; did you mean '{right}'"):
        run_cycle(toy, TOY, name, 0, {"policy": policy(0)})


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": 301}, "budget 301 .*'toy' has 300"),
        ({"n": 271}, "sub-pools of 271 .*'toy' has 300"),
        ({"acq": 31}, "acquisition size 31 exceeds the sub-pool of n = 30"),
        ({"budget": 19}, "budget 19 is below the 20 initial labels"),
        ({"acq": 0}, "at least 1"),
        ({"classifier": "cnn"}, "'cnn' needs images"),
    ],
)
def test_a_setting_that_cannot_run_is_refused_before_training(
    toy: DataSet, change: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_cycle(toy, replace(TOY, **change), "random", 0)  # type: ignore[arg-type]


FULL_POOL = """
import sys; sys.path.insert(0, "tests")
import numpy as np
from ialelib import cycle, data
from toys import peak
rng = np.random.default_rng(0)
def images(n): return rng.integers(0, 256, (n, 28, 28), dtype=np.uint8), np.arange(n) % 10
pool = data.DataSet("noise", *images(60_000), *images(10_000))
curve = cycle.run_cycle(pool, cycle.CycleConfig("cnn", budget=40), "badge", seed=0)
assert curve["labels"].tolist() == [20, 30, 40]
print(peak())
"""


def test_a_cycle_on_a_pool_of_the_size_of_mnist_stays_below_1_2_gb() -> None:
    command = [sys.executable, "-c", FULL_POOL]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 1.2e9


@pytest.mark.usefixtures("no_training")
def test_a_probe_on_images_and_a_single_class_are_refused(small_digits: DataSet) -> None:
    with pytest.raises(InputError, match="classifier 'probe' needs embeddings"):
        run_cycle(small_digits, replace(SETTING, classifier="probe"), "random", 0)
    zeros = [np.zeros_like(part) for part in (small_digits.train_labels, small_digits.test_labels)]
    single = replace(small_digits, train_labels=zeros[0], test_labels=zeros[1])
    with pytest.raises(InputError, match="has a single class; take a data set of two or more"):
        run_cycle(single, SETTING, "random", 0)
