"""Sample images, laid out by class."""

import numpy as np

from ialelib.data import DataSet
from ialelib.plots import images as image_plots
from ialelib.plots.images import GAP, montage


def test_a_row_holds_the_first_images_of_its_class(small_digits: DataSet) -> None:
    tiles = montage(small_digits, classes=10, columns=3)
    assert tiles.shape == (10 * (28 + GAP), 3 * (28 + GAP))
    third_seven = small_digits.train_inputs[small_digits.train_labels == 7][2]
    top, left = 7 * (28 + GAP) + GAP // 2, 2 * (28 + GAP) + GAP // 2
    assert np.array_equal(tiles[top : top + 28, left : left + 28], third_seven)
    assert (tiles[::30] == 255).all()


def test_a_class_with_few_images_ends_in_white(small_digits: DataSet) -> None:
    of_class = (small_digits.train_labels == 0).sum()
    tiles = montage(small_digits, classes=1, columns=int(of_class) + 1)
    assert (tiles[:, -(28 + GAP) :] == 255).all()
    assert not (tiles[:, : -(28 + GAP)] == 255).all()


def test_batches_show_their_images_in_order_with_titles(small_digits: DataSet) -> None:
    chosen = {"policy": np.array([5, 3]), "random": np.array([8])}
    titles = [f"image {n}" for n in range(600)]
    figure = image_plots.batches(small_digits.train_inputs, chosen, titles)
    shown = [ax.get_title() for ax in figure.axes]
    assert shown == ["image 5", "image 3", "image 8", ""]
    drawn = figure.axes[1].get_images()[0].get_array()
    np.testing.assert_array_equal(drawn, small_digits.train_inputs[3])
    assert [ax.get_ylabel() for ax in figure.axes[::2]] == ["policy", "random"]


def test_colours_are_kept() -> None:
    images = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    labels = np.array([0, 1])
    data = DataSet("colours", images, labels, images, labels)
    assert np.array_equal(montage(data, 2, 1)[1:5, 1:5], images[0])
    figure = image_plots.samples([data, data], columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["colours", "colours"]
