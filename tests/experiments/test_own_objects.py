"""Own acquisition functions, classifiers and data sets beside the library's names."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal
from torch import Tensor, nn
from toys import TOY, chosen, policy, untimed

import ialelib as iale
from ialelib.cycle import Cycle, CycleConfig
from ialelib.data import DataSet
from ialelib.experts import EXPERTS, Expert, Query
from ialelib.models import Architecture, Own, build
from ialelib.recipes import TrainJob, recipe
from ialelib.training import fit
from ialelib.utils.errors import InputError


def margin(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    two_N_2 = query.probs_N_C.topk(2)[0]
    return np.argsort((two_N_2[:, 0] - two_N_2[:, 1]).numpy(), kind="stable")[:acq]


class Small(nn.Module):
    """A plain torch module with dropout of its own."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 24), nn.ReLU())
        self.drop = nn.Dropout(0.2)
        self.last = nn.Linear(24, classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(self.drop(self.body(inputs)))


OWN = CycleConfig(Small, initial=20, budget=40, acq=10, n=30, recipe="toy")


def test_an_own_function_runs_beside_names(toy: DataSet, tmp_path: Path) -> None:
    found = iale.compare(toy, TOY, ["random", margin], [0, 1], tmp_path)
    assert found["strategy"].unique().tolist() == ["random", "margin"]
    again = iale.compare(toy, TOY, ["random", margin], [0, 1], tmp_path)
    assert_frame_equal(found, again)
    assert len(list(tmp_path.iterdir())) == 4
    alone = iale.run_cycle(toy, TOY, margin, 0)
    mine = found[(found["strategy"] == "margin") & (found["seed"] == 0)]
    assert_frame_equal(untimed(mine), untimed(alone))


def test_an_own_function_that_is_an_expert_s_chooses_as_it_does(toy: DataSet) -> None:
    def entropy(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
        return EXPERTS["entropy"](query, acq, rng)

    assert chosen(iale.run_cycle(toy, TOY, entropy, 0)) == chosen(
        iale.run_cycle(toy, TOY, "entropy", 0)
    )


def test_a_policy_may_be_given_itself(toy: DataSet) -> None:
    given = policy(0)
    named = iale.run_cycle(toy, TOY, "policy", 0, {"policy": given})
    assert_frame_equal(untimed(iale.run_cycle(toy, TOY, given, 0)), untimed(named))


@pytest.mark.parametrize("processes", [1, 2])
def test_an_own_classifier_is_trained_and_asked(
    small_digits: DataSet, tmp_path: Path, processes: int
) -> None:
    names = ["random", "mc_dropout", "ensemble", "coreset", "badge"]
    found = iale.compare(small_digits, OWN, names, [0], tmp_path, processes=processes)
    assert set(found["classifier"]) == {"Small"}
    iale.check_curves(found, rise=-1)
    assert_frame_equal(
        untimed(found[found["strategy"] == "mc_dropout"]),
        untimed(iale.run_cycle(small_digits, OWN, "mc_dropout", 0)),
    )


def test_own_classifiers_train_the_same_whatever_ran_before(small_digits: DataSet) -> None:
    job = Cycle(small_digits, OWN, 0).job()
    one = fit(job)
    torch.rand(7)
    assert torch.equal(one.head.weight, fit(job).head.weight)
    other = TrainJob(job.architecture, job.inputs, job.labels, recipe("toy"), job.weights, seed=1)
    assert not torch.equal(one.head.weight, fit(other).head.weight)


def test_an_own_classifier_s_embedding_is_the_input_of_its_last_layer() -> None:
    model = build(Architecture(Small, 3, (5, 4)), seed=0).eval()
    assert isinstance(model, Own)
    inputs = torch.rand(7, 1, 5, 4)
    logits, embedding = model(inputs)
    network = model.network
    assert isinstance(network, Small)
    torch.testing.assert_close(embedding, network.body(inputs))
    torch.testing.assert_close(logits, network(inputs))


def test_a_policy_learns_from_an_own_function_and_classifier(
    small_digits: DataSet, tmp_path: Path
) -> None:
    config = iale.DaggerConfig(OWN, (margin, "coreset"), episodes=2, validation=50)
    trained, history = iale.train_policy(small_digits, config, tmp_path)
    assert history[["margin", "coreset"]].sum(axis=1).tolist() == pytest.approx([1, 1])
    assert trained.embedding == 24
    said = trained.about["imitation"]
    assert said["experts"][0].startswith("margin-")
    assert said["setting"]["classifier"].startswith("Small-")
    again, _ = iale.train_policy(small_digits, config, tmp_path)
    assert again.fingerprint() == trained.fingerprint()
    assert len(list(tmp_path.iterdir())) == 1


def test_an_own_data_set_of_arrays_is_checked() -> None:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (60, 8, 8), np.uint8), np.arange(60) % 3
    own = iale.DataSet("own", images, labels.astype(np.int32), images[:9], labels[:9])
    assert (own.classes, own.shape, own.train_labels.dtype) == (3, (8, 8), np.int64)
    small = CycleConfig("mlp", initial=6, budget=9, acq=3, n=10, recipe="warm")
    assert len(iale.run_cycle(own, small, "random", 0)) == 2
    with pytest.raises(InputError, match="train images must be uint8"):
        iale.DataSet("own", images.astype(float), labels, images, labels)
    with pytest.raises(InputError, match="test labels must be 60 whole numbers"):
        iale.DataSet("own", images, labels, images, labels[:9])


def too_few(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(acq - 1)


def outside(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    return np.arange(acq) + len(query.inputs_N) - 1


def twice(query: Query, acq: int, rng: np.random.Generator) -> np.ndarray:
    return np.zeros(acq, dtype=int)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (too_few, "'too_few' chose 9 samples, not 10"),
        (outside, "the batch of 'outside' holds .*0 to 29"),
        (twice, "the batch of 'twice' holds an index twice"),
        (lambda query, acq, rng: np.arange(acq), "needs a name: define it by `def`"),
    ],
)
def test_an_own_function_that_chooses_nonsense_is_refused(
    toy: DataSet, function: Expert, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        iale.run_cycle(toy, TOY, function, 0)


class NoLayer(nn.Module):
    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__()


class MoreOutputs(Small):
    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(classes + 1, shape)


@pytest.mark.parametrize(
    ("network", "message"),
    [(NoLayer, "must end in an nn.Linear"), (MoreOutputs, "has 3 outputs for 2 classes")],
)
def test_an_own_classifier_that_does_not_fit_is_refused(
    toy: DataSet, network: type[nn.Module], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        iale.run_cycle(toy, CycleConfig(network, 20, 40, 10, 30, "toy"), "random", 0)


def test_an_own_function_with_a_policy_s_name_is_still_itself(toy: DataSet, tmp_path: Path) -> None:
    given = {"margin": policy(0)}
    found = iale.compare(toy, TOY, [margin], [0], tmp_path, given)
    assert chosen(found) == chosen(iale.run_cycle(toy, TOY, margin, 0))
    named = iale.compare(toy, TOY, ["margin"], [0], tmp_path, given)
    assert chosen(named) == chosen(iale.run_cycle(toy, TOY, given["margin"], 0)) != chosen(found)


def test_two_strategies_of_one_name_are_refused(toy: DataSet) -> None:
    with pytest.raises(InputError, match="two strategies have the same name"):
        iale.compare(toy, TOY, [margin, margin], [0])


def test_curves_that_are_no_fair_comparison_fail_the_check(toy: DataSet) -> None:
    curves = iale.compare(toy, TOY, ["random", "entropy"], [0])
    assert iale.check_curves(curves, rise=-1, differ=True) == "2 strategies, 1 seeds, 6 rows"
    with pytest.raises(AssertionError, match="rises by no more than 1"):
        iale.check_curves(curves, rise=1)
    moved = curves["accuracy"].where(curves.index > 0, 0.0)
    with pytest.raises(AssertionError, match="not paired"):
        iale.check_curves(curves.assign(accuracy=moved), rise=-1)
    same = pd.concat([curves.head(3), curves.head(3).assign(strategy="twin")])
    with pytest.raises(AssertionError, match="chose the same batch"):
        iale.check_curves(same, rise=-1, differ=True)
    again = curves.assign(chosen=curves["chosen"].replace("", curves["chosen"].iloc[0]))
    with pytest.raises(AssertionError, match="a sample twice"):
        iale.check_curves(again, rise=-1)
    lacking = curves.assign(chosen=curves["chosen"].where(curves.index > 0, ""))
    with pytest.raises(AssertionError, match="labels without a sample"):
        iale.check_curves(lacking, rise=-1)
    wide = curves.assign(width=128)
    other = curves.assign(width=64, accuracy=curves["accuracy"] / 2)
    assert iale.check_curves(pd.concat([wide, other]), rise=-1)
