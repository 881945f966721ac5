"""Tasks from source data: the same by seed, within their bounds, and of sources alone."""

import numpy as np
import pytest
from source_views import VIEWS, view

import ialelib as iale
from ialelib.data import load_data
from ialelib.search import tasks


def test_same_seed_gives_the_same_task() -> None:
    one, other = tasks.draw(VIEWS, 7), tasks.draw(VIEWS, 7)
    assert one.config == other.config
    assert one.data.fingerprint == other.data.fingerprint
    assert tasks.draw(VIEWS, 8).data.fingerprint != one.data.fingerprint


@pytest.mark.parametrize("seed", range(30))
def test_every_task_can_be_run_and_keeps_its_test_set_apart(seed: int) -> None:
    task = tasks.draw(VIEWS, seed)
    task.config.check(task.data)
    config = task.config
    assert config.initial == task.data.classes
    assert config.acq <= tasks.LARGEST
    assert config.budget <= tasks.PER_CLASS[1] * task.data.classes
    train = {row.tobytes() for row in task.data.train_inputs}
    assert not train & {row.tobytes() for row in task.data.test_inputs}
    assert set(np.unique(task.data.test_labels)) == set(range(task.data.classes))


def test_classes_keep_their_order() -> None:
    whole, task = VIEWS[0], tasks.draw(VIEWS[:1], 3)
    width = task.data.train_inputs.shape[1]
    of = {row[:width].tobytes(): label for row, label in zip(*whole.halves[:2], strict=True)}
    old = np.array([of[row.tobytes()] for row in task.data.train_inputs])
    kept = np.unique(old)
    assert len(kept) == task.data.classes < whole.classes
    np.testing.assert_array_equal(kept[task.data.train_labels], old)


def test_tasks_differ_in_kind() -> None:
    drawn = [tasks.draw(VIEWS, seed) for seed in range(60)]
    assert {task.data.train_inputs.shape[1] for task in drawn} == set(tasks.WIDTHS)
    assert len({task.data.classes for task in drawn}) > 6
    sizes = [np.bincount(task.data.train_labels) for task in drawn]
    uneven = np.mean([size.min() < 0.7 * size.max() for size in sizes])
    assert 0.1 < uneven < 0.6


def test_images_get_classifiers_that_are_trained_from_scratch() -> None:
    images = load_data("mnist-10k")
    drawn = [tasks.draw([images], seed).config for seed in range(24)]
    assert {(config.classifier, config.recipe) for config in drawn} == {
        (classifier, recipe) for classifier in ("cnn", "mlp") for recipe in ("fast", "short")
    }


def test_only_some_classes_are_taken() -> None:
    part = tasks.only(view(), [5, 3])
    whole = view()
    assert part.classes == 2
    np.testing.assert_array_equal(
        part.train_inputs[part.train_labels == 0], whole.train_inputs[whole.train_labels == 5]
    )


def test_sources_are_no_targets() -> None:
    names = {source.name for source in tasks.SOURCES}
    assert names == {"cifar100-25k", "emnist-letters", "mnist"}
    (cifar,) = (source for source in tasks.SOURCES if source.name == "cifar100-25k")
    assert all(label % 2 == 0 for label in cifar.classes)


def test_pixels_are_embeddings() -> None:
    images = load_data("mnist-10k")
    found = tasks.pixels(tasks.some(images, 500), 20)
    assert found.train_inputs.shape == (500, 20)
    iale.CycleConfig("probe", initial=10, budget=20, acq=5, n=50).check(found)
