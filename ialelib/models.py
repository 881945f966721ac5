"""Classifiers that return logits and the embedding before the soft-max layer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ialelib.dropout import Dropout
from ialelib.errors import InputError, unknown


class Classifier(nn.Module):
    """Base: `forward(inputs) -> (logits_N_C, embedding_N_D)`; `head` maps the second to the first.

    Each kind has its own `features` and, if dropout comes after these, `embed_features`.

    `inputs` are float, N x channels x H x W (images) or N x 2 (points).
    """

    def __init__(self, embedding: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.drop = Dropout(dropout, embedding)
        self.head = nn.Linear(embedding, classes)

    @property
    def drops(self) -> list[Dropout]:
        """The layers that drop anything, in the order in which training draws their masks."""
        return [module for module in self.modules() if isinstance(module, Dropout) and module.p > 0]

    def features(self, inputs: Tensor) -> Tensor:
        """What comes before the first dropout, and so is the same in every pass."""
        raise NotImplementedError

    def embed_features(self, features: Tensor) -> Tensor:
        """The embedding of these features: themselves, if no dropout comes before it."""
        return features

    def embed(self, inputs: Tensor) -> Tensor:
        """Embedding M_e(x), N x D (Sec. 3.2)."""
        return self.embed_features(self.features(inputs))

    def predict_features(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, from what `features` gave."""
        embedding_N_D = self.embed_features(features)
        return self.head(self.drop(embedding_N_D)), embedding_N_D

    @override
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.predict_features(self.features(inputs))


class ToyMLP(Classifier):
    """Two hidden layers of 16 units (Fig. 1), without dropout. D = 16."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(16, classes, dropout=0.0)
        self.hidden = nn.Linear(_numbers(shape), 16)
        self.last = nn.Linear(16, 16)

    @override
    def features(self, inputs: Tensor) -> Tensor:
        return F.relu(self.last(F.relu(self.hidden(inputs.flatten(1)))))


class MLP(Classifier):
    """Two hidden layers of 128 units (Sec. 4.4), dropout 0.25 after each. D = 128."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(128, classes, dropout=0.25)
        self.hidden = nn.Linear(_numbers(shape), 128)
        self.drop_hidden = Dropout(0.25, 128)
        self.last = nn.Linear(128, 128)

    @override
    def features(self, inputs: Tensor) -> Tensor:
        return F.relu(self.hidden(inputs.flatten(1)))

    @override
    def embed_features(self, features: Tensor) -> Tensor:
        return F.relu(self.last(self.drop_hidden(features)))


class CNN(Classifier):
    """The CNN of Sec. 4.1. D = 128.

    Convolutions of 32 filters, 4x4 and 2x2; 2x2 max pooling; dropout 0.25; dense 128; dropout 0.5.
    The paper names Gal & Ghahramani (2016) and no sizes. These are of its code release, which pads
    the first convolution by 2; Gal et al. (2017) describe 4x4 for both.
    """

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(128, classes, dropout=0.5)
        height, width = ((size - 4) // 2 for size in shape[:2])
        self.conv1 = nn.Conv2d(_channels(shape), 32, 4)
        self.conv2 = nn.Conv2d(32, 32, 2)
        self.drop_maps = Dropout(0.25, 32 * height * width)
        self.dense = nn.Linear(32 * height * width, 128)

    @override
    def embed_features(self, features: Tensor) -> Tensor:
        return F.relu(self.dense(self.drop_maps(features)))

    @override
    def features(self, inputs: Tensor) -> Tensor:
        # ReLU commutes with max pooling and is four times cheaper after it.
        maps = F.relu_(F.max_pool2d(self.conv2(F.relu_(self.conv1(inputs))), 2))
        # Maps are channels-last in memory, so this order of flattening copies nothing.
        return maps.permute(0, 2, 3, 1).flatten(1)


class ResNet18(Classifier):
    """ResNet-18 (He et al. 2016) with 16-32-64-128 channels and a 3x3 stem. D = 128.

    Dropout 0.25 before the soft-max layer, so that MC-Dropout applies.
    """

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(128, classes, dropout=0.25)
        self.stem = nn.Sequential(
            nn.Conv2d(_channels(shape), 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(inplace=True),
        )
        widths = (16, 16, 32, 64, 128)
        self.stages = nn.Sequential(
            *(_stage(widths[i], widths[i + 1], stride=1 if i == 0 else 2) for i in range(4))
        )

    @override
    def features(self, inputs: Tensor) -> Tensor:
        return self.stages(self.stem(inputs)).mean(dim=(2, 3))


def _stage(inside: int, outside: int, stride: int) -> nn.Sequential:
    # torchvision takes 200 MB of memory, which only this classifier needs.
    from torchvision.models.resnet import BasicBlock

    shortcut = None
    if stride > 1:
        shortcut = nn.Sequential(
            nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside)
        )
    return nn.Sequential(
        BasicBlock(inside, outside, stride, shortcut), BasicBlock(outside, outside)
    )


def _channels(shape: tuple[int, ...]) -> int:
    return shape[2] if len(shape) == 3 else 1


def _numbers(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


CLASSIFIERS: dict[str, Callable[[int, tuple[int, ...]], Classifier]] = {
    "toy_mlp": ToyMLP,
    "mlp": MLP,
    "cnn": CNN,
    "resnet18": ResNet18,
}
CONVOLUTIONAL = ("cnn", "resnet18")


@dataclass(frozen=True)
class Architecture:
    """Which classifier, for how many classes and which input shape (H, W), (H, W, 3) or (2,)."""

    name: str
    classes: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.name not in CLASSIFIERS:
            raise unknown("classifier", self.name, CLASSIFIERS)
        if self.name in CONVOLUTIONAL and len(self.shape) < 2:
            raise InputError(f"classifier {self.name!r} needs images, not inputs of {self.shape}")
        if self.name == "cnn" and min(self.shape[:2]) < 6:
            raise InputError(f"classifier 'cnn' needs images of 6x6 or more, not {self.shape}")


def build(architecture: Architecture, seed: int) -> Classifier:
    """A fresh classifier whose initial weights depend on `seed` alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CLASSIFIERS[architecture.name](architecture.classes, architecture.shape)


def to_float(inputs: Tensor) -> Tensor:
    """Classifier input from a raw batch: uint8 images to N x channels x H x W in [-1, 3].

    The scaling (x/255 - 0.25) / 0.25 is the same for every data set and near to zero mean and
    unit variance on all of them. Images come channels-last in memory, the faster layout for
    convolutions; points pass as they are.
    """
    if inputs.dtype != torch.uint8:
        return inputs
    images = inputs.float().div_(63.75).sub_(1.0)
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)
