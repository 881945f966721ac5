"""Images as users have them: by position, of any memory layout, and in files."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from typing_extensions import override

import ialelib as iale
from ialelib.inference import images_from
from ialelib.inference.images import length, rows
from ialelib.utils.errors import InputError

POOL = np.random.default_rng(0).random((12, 4, 5), dtype=np.float32)
SOME = np.array([7, 0, 11])


class Items(Dataset[Any]):
    """Each image as a function makes it of an array."""

    def __init__(self, change: Callable[[np.ndarray], Any]) -> None:
        self.change = change

    def __len__(self) -> int:
        return len(POOL)

    @override
    def __getitem__(self, index: int) -> Any:
        return self.change(POOL[index].copy())


def locked(image: np.ndarray) -> np.ndarray:
    image.setflags(write=False)
    return image


# By position


@pytest.mark.parametrize("index", [range(12, 0, -1), list("abcdefghijkl"), [0] * 12])
def test_what_is_found_by_label_is_read_by_position(index: Any) -> None:
    series: Any = pd.Series(list(POOL), index=index)
    assert length(series) == 12
    np.testing.assert_array_equal(rows(series, SOME), POOL[SOME])


def test_next_batch_and_rehearse_read_a_series_by_position() -> None:
    rng = np.random.default_rng(1)
    labels = np.arange(40) % 2
    points = (rng.standard_normal((60, 8)) + 3 * (np.arange(60) % 2)[:, None]).astype(np.float32)
    shuffled: Any = pd.Series(list(points), index=rng.permutation(60))
    net = torch.nn.Linear(8, 2)
    expected, found = (
        iale.next_batch(net, pool, np.arange(40), labels, 5) for pool in (points, shuffled)
    )
    np.testing.assert_array_equal(found, expected)
    same = [
        iale.rehearse(pool, np.arange(40), labels, ["margin"], seeds=2).curves["accuracy"]
        for pool in (points, shuffled)
    ]
    pd.testing.assert_series_equal(*same)


@pytest.mark.parametrize(
    "pool", [dict(enumerate(POOL)), {7: POOL[0]}, set(), (image for image in POOL)]
)
def test_what_has_no_positions_is_refused(pool: Any) -> None:
    with pytest.raises(InputError, match=f"indexed by position, from 0, not {type(pool).__name__}"):
        length(pool)


def test_a_table_is_refused() -> None:
    table: Any = pd.DataFrame(POOL.reshape(12, -1))
    with pytest.raises(InputError, match=r"gives Series, .* or all images as one array"):
        rows(table, SOME)


# One conversion for arrays and items


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda image: image[::-1, ::-1], POOL[:, ::-1, ::-1]),
        (lambda image: image.T, POOL.transpose(0, 2, 1)),
        (lambda image: image.astype(">f4"), POOL),
        (lambda image: image.astype("<f8"), POOL.astype(float)),
        (locked, POOL),
        (lambda image: (image, 3), POOL),
        (lambda image: np.broadcast_to(image[0], (4, 5)), POOL[:, :1].repeat(4, 1)),
        (torch.from_numpy, POOL),
    ],
)
def test_items_of_any_memory_layout_are_those_of_one_array(
    change: Any, expected: np.ndarray
) -> None:
    found = rows(Items(change), SOME)
    assert torch.equal(found, torch.from_numpy(expected[SOME]))


def test_an_array_of_arrays_is_read_item_by_item() -> None:
    pool = pd.Series(list(POOL)).to_numpy()
    np.testing.assert_array_equal(rows(pool, SOME), POOL[SOME])


@pytest.mark.parametrize("kind", [object, "U5", np.longdouble])
def test_types_that_torch_lacks_are_refused_alike(kind: Any) -> None:
    for pool in (POOL.astype(kind), Items(lambda image: image.astype(kind))):
        with pytest.raises(InputError, match=r"torch has no .*: convert the values first"):
            rows(pool, SOME)


@pytest.mark.parametrize("kind", ["uint8", "int16", "bool", "int64", "uint16", "complex64"])
@pytest.mark.parametrize("own", [False, True])
def test_images_that_are_no_floating_numbers_need_a_preprocess(kind: Any, own: bool) -> None:
    if own and kind == "uint8":
        return
    net = iale.models.MLP(2, (4, 5)) if own else torch.nn.Linear(20, 2)
    for pool in (POOL.astype(kind), Items(lambda image: image.astype(kind))):
        given = (net, pool, [0, 1, 2], [0, 1, 0], 2)
        with pytest.raises(InputError, match=f"images are {kind}: say in `preprocess`"):
            iale.next_batch(*given)
        found = iale.next_batch(*given, preprocess=lambda batch: batch.real.flatten(1).float())
        assert len(found) == 2


# Files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five images of several kinds, and what is none, in folders."""
    rng = np.random.default_rng(0)
    for name, shape in {
        "b/one.PNG": (9, 7, 3),
        "b/grey.tif": (9, 7),
        "a/two.jpg": (30, 30, 3),
        "three.gif": (5, 5),
        "c/alpha.webp": (6, 6, 4),
        ".hidden/four.png": (4, 4),
        "a/._two.png": (4, 4),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_is_a_pool_in_the_order_of_its_paths(folder: Path) -> None:
    pool = images_from(folder, size=8)
    names = [path.relative_to(folder).as_posix() for path in pool.paths]
    assert names == ["a/two.jpg", "b/grey.tif", "b/one.PNG", "c/alpha.webp", "three.gif"]
    assert length(pool) == len(pool) == 5
    found = rows(pool, np.array([4, 1]))
    assert found.shape == (2, 8, 8, 3)
    assert found.dtype == torch.uint8
    assert (found == found[..., :1]).all()  # both are grey
    same = images_from((str(path) for path in pool.paths), size=8)
    np.testing.assert_array_equal(same[2], pickle.loads(pickle.dumps(pool))[2])


def test_files_are_read_when_they_are_asked_for(folder: Path) -> None:
    pool = images_from(folder, size=8)
    (folder / "b" / "one.PNG").write_bytes(b"<html>")
    (folder / "a" / "two.jpg").write_bytes((folder / "a" / "two.jpg").read_bytes()[:400])
    assert pool[1].shape == (8, 8, 3)
    for place in (0, 2):
        with pytest.raises(InputError, match=f"{pool.paths[place].name} is no readable image"):
            rows(pool, np.array([place]))


def test_the_size_is_that_of_its_own_pixels_where_it_fits(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "x.png")
    np.testing.assert_array_equal(images_from(tmp_path, size=6)[0], image)
    assert images_from(tmp_path)[0].shape == (224, 224, 3)


def test_a_turned_photograph_is_shown_upright(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 6, 3), np.uint8)
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was turned by a quarter
    Image.fromarray(np.rot90(image)).save(tmp_path / "x.png", exif=turned)
    np.testing.assert_array_equal(images_from(tmp_path, size=6)[0], image)


@pytest.mark.parametrize("mode", ["I;16", "I", "F"])
def test_images_of_more_than_8_bits_are_not_cut_off(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (4, 4)).save(tmp_path / "x.tif")
    with pytest.raises(InputError, match=r"x\.tif has more than 8 bits a channel; convert it"):
        images_from(tmp_path)[0]


@pytest.mark.parametrize(
    ("where", "size", "message"),
    [
        ("nowhere", 8, "no folder .*nowhere; give a folder, or a list of paths"),
        ("a/two.jpg", 8, "no folder .*two.jpg; give a folder, or a list of paths"),
        ("empty", 8, r"no images in .*empty: their names must end in \.bmp"),
        ([], 8, "no images in"),
        (["a/two.jpg", "a/lost.jpg"], 8, "1 of 2 paths are no files, the first .*lost.jpg"),
        (["a"], 8, "1 of 1 paths are no files"),
        ("a", 0, "size must be a whole number from 1, not 0"),
        ("a", 8.0, "size must be a whole number from 1, not 8.0"),
    ],
)
def test_bad_paths_are_refused_at_once(folder: Path, where: Any, size: Any, message: str) -> None:
    (folder / "empty").mkdir()
    inside = str(folder / where) if isinstance(where, str) else [folder / path for path in where]
    with pytest.raises(InputError, match=message):
        images_from(inside, size=size)


def test_home_is_expanded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder))
    assert len(images_from("~")) == 5
    assert len(images_from(["~/three.gif"])) == 1


def test_embeddings_and_the_next_batch_take_files(folder: Path) -> None:
    pool = images_from(folder, size=32)
    seen = iale.inference.extract(pool, size=32)
    assert seen.shape == (5, 1280)
    stacked = np.stack([pool[index] for index in range(5)])
    np.testing.assert_array_equal(iale.inference.extract(stacked, size=32), seen)
    net = torch.nn.Linear(32 * 32 * 3, 2)
    given = {"labelled": [0, 1], "labels": [0, 1], "acq": 2}
    found = iale.next_batch(
        net, pool, **given, preprocess=lambda batch: batch.flatten(1).float() / 255
    )
    assert set(found) <= {2, 3, 4}
