"""Training that starts from a trained classifier."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from toys import same_weights

from ialelib.data import DataSet
from ialelib.models import Architecture, build
from ialelib.recipes import Recipe, TrainJob
from ialelib.training import fit, fit_many

SHORT = Recipe(steps=3, batch_size=16, lr=4e-3, warmup=0.5, cosine=True, precision="auto")


@pytest.fixture(params=["cnn", "resnet18"])
def warm(request: pytest.FixtureRequest, small_digits: DataSet) -> TrainJob:
    """Three more steps for a classifier trained on other digits."""
    images, labels = small_digits.train_inputs[:80], small_digits.train_labels[:80]
    architecture = Architecture(request.param, 10, (28, 28))
    before = TrainJob(architecture, images[40:], labels[40:], SHORT, weights=1, seed=2)
    return TrainJob(
        architecture, images[:40], labels[:40], SHORT, weights=9, seed=2, start=fit(before)
    )


def test_warm_start_is_not_changed(warm: TrainJob) -> None:
    assert warm.start is not None
    before = deepcopy(warm.start)
    fitted = fit(warm)
    assert same_weights(warm.start, before)
    assert not any(module.training for module in warm.start.modules())
    assert not same_weights(fitted, before)


def test_warm_start_takes_over_weights_and_statistics(warm: TrainJob) -> None:
    assert warm.start is not None
    found = fit(replace(warm, recipe=Recipe(steps=1, lr=1e-9))).state_dict()
    for name, value in warm.start.state_dict().items():
        if "running" in name:
            # One step of batch normalisation's own moving average, from where they were.
            assert torch.corrcoef(torch.stack([found[name], value]))[0, 1] > 0.9, name
        elif "num_batches" in name:
            assert found[name] == value + 1
        else:
            torch.testing.assert_close(found[name], value, rtol=0, atol=1e-7)


def test_warm_result_depends_on_the_start_and_not_on_the_weights_seed(warm: TrainJob) -> None:
    fitted = fit(warm)
    assert same_weights(fitted, fit(warm))
    assert same_weights(fitted, fit(replace(warm, weights=10)))
    assert not same_weights(fitted, fit(replace(warm, seed=10)))
    assert not same_weights(fitted, fit(replace(warm, start=build(warm.architecture, 9))))
    assert not same_weights(fitted, fit(replace(warm, start=None)))


def test_two_processes_start_where_one_does(warm: TrainJob) -> None:
    jobs = [warm, replace(warm, start=None)]
    for model, work in zip(fit_many(jobs, processes=2), jobs, strict=True):
        assert same_weights(model, fit(work))
