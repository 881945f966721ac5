"""Embeddings by pretrained backbones: any kind of images, kept pieces, clear errors."""

import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset
from torchvision import models
from torchvision.transforms.functional import normalize
from typing_extensions import override

from ialelib.data import DataSet, load_data
from ialelib.inference import backbones
from ialelib.inference.backbones import LITE, extract, extract_set
from ialelib.utils.errors import InputError, Stopped


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (8, 20, 16, 3), dtype=np.uint8)


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Pieces of three images; the list gets the size of each that is computed."""
    sizes: list[int] = []
    embed = backbones.embed

    def noted(network: Any, piece: Tensor, *rest: Any) -> np.ndarray:
        sizes.append(len(piece))
        return embed(network, piece, *rest)

    monkeypatch.setattr(backbones, "PIECE", 3)
    monkeypatch.setattr(backbones, "embed", noted)
    return sizes


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where torchvision keeps its weights, and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    # urllib keeps the opener that it makes at its first call, and with it the proxy of then.
    monkeypatch.setattr(urllib.request, "_opener", None)
    return tmp_path / "torch" / "hub" / "checkpoints"


# What comes out


def test_lite0_gives_1280_numbers_an_image(images: np.ndarray) -> None:
    embedding_N_D = extract(images)
    assert embedding_N_D.shape == (8, 1280)
    assert embedding_N_D.dtype == np.float16
    assert np.isfinite(embedding_N_D).all()
    np.testing.assert_array_equal(extract(images), embedding_N_D)


def test_it_is_the_mean_of_the_last_feature_maps(images: np.ndarray) -> None:
    network = backbones.ready(backbones.find(LITE), 96)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    inputs = (torch.nn.functional.interpolate(pixels, (96, 96), mode="bilinear") - 127) / 128
    with torch.no_grad():
        expected = network.extract_features(inputs).mean((2, 3)).numpy()  # type: ignore[operator]
    found = extract(images).astype(np.float32)
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)  # bfloat16


def test_kept_knowledge_classifies_photographs() -> None:
    try:
        photos = load_data("cifar10-25k")
    except InputError:
        pytest.skip("cifar10-25k is not in IALE_DATA")
    few = DataSet(
        "few",
        photos.train_inputs[:400],
        photos.train_labels[:400],
        photos.test_inputs[:200],
        photos.test_labels[:200],
    )
    seen = extract_set(few)
    train, test = (half.astype(np.float32) for half in (seen.train_inputs, seen.test_inputs))
    means = np.stack([train[seen.train_labels == label].mean(0) for label in range(10)])
    nearest = np.linalg.norm(test[:, None] - means, axis=2).argmin(1)
    assert (nearest == seen.test_labels).mean() > 0.5
    assert (seen.name, seen.shape) == ("few", (1280,))


# Kinds of images


class Photos(Dataset[Any]):
    """Float images, channels first, as torchvision's ToTensor() makes them, with labels."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    @override
    def __getitem__(self, index: int) -> Any:
        return torch.from_numpy(self.images[index]).permute(2, 0, 1).float() / 255, 1


def test_arrays_mapped_files_tensors_and_data_sets_give_the_same(
    images: np.ndarray, tmp_path: Path
) -> None:
    expected = extract(images)
    np.save(tmp_path / "images.npy", images)
    tensor = torch.from_numpy(images)
    kinds: list[Any] = [np.load(tmp_path / "images.npy", mmap_mode="r"), tensor]
    kinds += [TensorDataset(tensor), tensor.permute(0, 3, 1, 2)]
    for kind in kinds:
        np.testing.assert_array_equal(extract(kind), expected)
    found = extract(Photos(images)).astype(np.float32)  # whose pixels are rounded
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_grey_images_are_those_of_three_equal_channels(images: np.ndarray) -> None:
    grey = images[..., 0]
    np.testing.assert_array_equal(extract(grey), extract(np.stack([grey] * 3, axis=3)))


@pytest.mark.parametrize(
    ("shape", "size", "side"),
    [((28, 28), None, 96), ((100, 130), None, 130), ((250, 90), None, 224), ((28, 28), 64, 64)],
)
def test_images_are_resized(
    monkeypatch: pytest.MonkeyPatch, shape: tuple[int, int], size: int | None, side: int
) -> None:
    seen: list[Tensor] = []
    prepared = backbones.prepared

    def noted(*given: Any) -> Tensor:
        seen.append(prepared(*given))
        return seen[-1]

    monkeypatch.setattr(backbones, "prepared", noted)
    extract(np.full((3, *shape), 255, np.uint8), size=size, batch_size=2)
    assert [tuple(batch.shape) for batch in seen] == [(2, 3, side, side), (1, 3, side, side)]
    torch.testing.assert_close(seen[0], torch.ones_like(seen[0]))  # (255 - 127) / 128


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        (np.zeros((4, 9), np.uint8), "images must be N x H x W"),
        (np.zeros((4, 5, 8, 8), np.uint8), "images must be N x H x W"),
        (np.zeros((0, 8, 8), np.uint8), "no images to embed"),
        (np.full((4, 8, 8), 7.0), "must be uint8, or float from 0 to 1"),
        (np.full((4, 8, 8), np.nan), "must be uint8, or float from 0 to 1"),
        (np.zeros((4, 8, 8), np.int64), "must be uint8, or float from 0 to 1"),
        ([1, 2], "the data set gives int, not a tensor or an array"),
        (iter([1, 2]), "must be an array, a tensor or a Dataset that can be indexed"),
    ],
)
def test_other_images_are_refused(wrong: Any, match: str) -> None:
    with pytest.raises(InputError, match=match):
        extract(wrong)


@pytest.mark.parametrize("changes", [{"size": 0}, {"batch_size": 0}, {"size": 96.0}])
def test_impossible_sizes_are_refused(images: np.ndarray, changes: dict[str, Any]) -> None:
    ((name, value),) = changes.items()
    with pytest.raises(InputError, match=f"{name} must be a whole number from 1, not {value}"):
        extract(images, **changes)


def test_images_of_different_sizes_are_refused() -> None:
    mixed: Any = [np.zeros((8, 8), np.uint8), np.zeros((8, 9), np.uint8)]
    with pytest.raises(InputError, match="differ in size; give it a transform"):
        extract(mixed)


# Kept pieces


def test_finished_pieces_are_read_back(
    images: np.ndarray, tmp_path: Path, computed: list[int]
) -> None:
    expected = extract(images, folder=tmp_path)
    assert computed == [3, 3, 2]
    np.testing.assert_array_equal(extract(images, folder=tmp_path), expected)
    np.testing.assert_array_equal(extract(images), expected)
    assert computed == [3, 3, 2] * 2


def test_it_resumes_where_it_was_stopped(
    images: np.ndarray, tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = backbones.embed

    def stopped(*given: Any) -> np.ndarray:
        if len(computed) == 2:
            raise KeyboardInterrupt
        return noted(*given)

    with monkeypatch.context() as patch:
        patch.setattr(backbones, "embed", stopped)
        with pytest.raises(Stopped, match=f"finished is kept in {tmp_path}"):
            extract(images, folder=tmp_path)
    found = extract(images, folder=tmp_path)
    assert computed == [3, 3, 2]
    np.testing.assert_array_equal(found, extract(images))


def test_an_interrupt_without_a_folder_says_that_nothing_is_kept(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backbones, "embed", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(Stopped, match="nothing is kept"):
        extract(images)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_damaged_piece_is_computed_again(
    images: np.ndarray, tmp_path: Path, computed: list[int], damage: str
) -> None:
    expected = extract(images, folder=tmp_path)
    path = sorted(tmp_path.iterdir())[1]
    whole = path.read_bytes()
    half = len(whole) // 2
    flipped = whole[:half] + bytes([whole[half] ^ 1]) + whole[half + 1 :]
    content = {"cut": whole[:1000], "flipped": flipped, "empty": b"", "foreign": b"text"}
    path.write_bytes(content[damage])
    computed.clear()
    with pytest.warns(UserWarning, match=f"{path.name} is damaged: kept as"):
        np.testing.assert_array_equal(extract(images, folder=tmp_path), expected)
    assert len(computed) == 1
    extract(images, folder=tmp_path)
    assert len(computed) == 1


def test_a_piece_is_believed_for_its_own_images_and_settings_alone(
    images: np.ndarray, tmp_path: Path, computed: list[int]
) -> None:
    extract(images, folder=tmp_path)
    changed = images.copy()
    changed[4, 0, 0, 0] ^= 1
    computed.clear()
    extract(changed, folder=tmp_path)
    assert computed == [3]
    computed.clear()
    for changes in ({"size": 64}, {"batch_size": 2}):
        extract(images, folder=tmp_path, **changes)  # type: ignore[arg-type]
    extract(images.reshape(8, 16, 20, 3), folder=tmp_path)
    assert computed == [3, 3, 2] * 3


@pytest.mark.parametrize(("where", "low"), [("cpu", False), ("cuda", True), ("cuda", False)])
def test_another_device_or_number_type_has_pieces_of_its_own(
    monkeypatch: pytest.MonkeyPatch, where: str, low: bool
) -> None:
    def name() -> str:
        found = backbones.find(LITE)
        return backbones.piece_file(Path(), torch.zeros(1, 8, 8), found, 96, 64).name

    monkeypatch.setattr(backbones, "device", lambda: "cpu")
    monkeypatch.setattr(backbones, "has_bfloat16", lambda _: True)
    usual = name()
    monkeypatch.setattr(backbones, "device", lambda: where)
    monkeypatch.setattr(backbones, "has_bfloat16", lambda _: low)
    assert name() != usual


def test_embeddings_beyond_float16_are_refused(images: np.ndarray) -> None:
    head = torch.nn.Linear(3 * 96 * 96, 2)
    network = torch.nn.Sequential(torch.nn.Flatten(), Enlarged(), head)
    with pytest.raises(InputError, match=f"of backbone '{LITE}' exceed the range of float16"):
        backbones.embed(network, torch.from_numpy(images), backbones.find(LITE), 96, 64)


class Enlarged(torch.nn.Module):
    """A million times its input."""

    @override
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs * 1e6


# Backbones


def test_torchvision_backbone_with_its_kept_weights(images: np.ndarray, hub: Path) -> None:
    torch.manual_seed(0)
    network = models.resnet18()
    hub.mkdir(parents=True)
    file = models.ResNet18_Weights.DEFAULT.url.rsplit("/", 1)[1]
    torch.save(network.state_dict(), hub / file)
    found = extract(images, "resnet18")
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    pixels = torch.nn.functional.interpolate(pixels, (96, 96), mode="bilinear")
    inputs = normalize(pixels, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    with torch.no_grad():
        network.eval().fc = torch.nn.Identity()
        expected = network(inputs).numpy()
    assert found.shape == (8, 512)
    assert np.linalg.norm(found - expected) < 0.1 * np.linalg.norm(expected)


def test_without_network_one_error_names_the_two_ways_out(images: np.ndarray, hub: Path) -> None:
    ways = r"not in .*torch.* could not be downloaded .*connect to the network.*efficientnet_lite0"
    with pytest.raises(InputError, match=ways):
        extract(images, "resnet18")


@pytest.mark.parametrize("name", ["vit_b_32", "squeezenet1_1"])
def test_backbone_that_gives_no_embedding_is_refused(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    get_model = models.get_model
    monkeypatch.setattr(models, "get_model", lambda name, weights: get_model(name))
    with pytest.raises(InputError, match=f"backbone '{name}' gives no embedding of .* 96 x 96"):
        extract(images, name)


def test_unknown_backbone_gives_the_nearest(images: np.ndarray) -> None:
    with pytest.raises(InputError, match="unknown backbone 'resnet51'; did you mean 'resnet5"):
        extract(images, "resnet51")


def test_every_classifier_of_torchvision_is_known() -> None:
    for name in models.list_models(module=models):
        found = backbones.find(name)
        assert found.size >= 224
        assert len(found.mean) == len(found.std) == 3


def test_without_the_extra_one_sentence_says_what_to_install() -> None:
    code = (
        "import sys, numpy; sys.modules['efficientnet_lite_pytorch'] = None\n"
        "from ialelib.inference import extract; extract(numpy.zeros((1, 8, 8), 'uint8'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ialelib.utils.errors.InputError: import of efficientnet_lite_pytorch")
    assert last.endswith("; install it with: pip install 'ialelib[embeddings]'")
