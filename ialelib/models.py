"""Classifiers that return logits and the embedding before the softmax layer (Sec. 4.1)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from ialelib.utils.checks import check_name
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import seeded

Noise = torch.Generator | np.random.BitGenerator
"""Where random bits come from. On the CPU those of NumPy are several times as fast as torch's."""

INTEGER = {
    torch.bfloat16: torch.int16,
    torch.float16: torch.int16,
    torch.float32: torch.int32,
    torch.float64: torch.int64,
}


class Dropout(nn.Dropout):
    """Dropout of rows of `features` values, with masks from bit operations on random words.

    On a CPU `nn.Dropout` takes a quarter of the training time of a small CNN. `given`, where set,
    is the mask to use instead of a fresh one.
    """

    def __init__(self, p: float, features: int) -> None:
        super().__init__(p)
        self.features = features
        self.given: Tensor | None = None

    def lanes(self, batch: int, generator: Noise | None = None) -> Tensor:
        """batch x features times 16 random bits, int16."""
        size = batch * self.features
        if isinstance(generator, np.random.BitGenerator):
            lanes = torch.from_numpy(generator.random_raw(-(-size // 4)).view(np.int16))
        else:
            device = generator.device if generator else "cpu"
            words = torch.empty(-(-size // 4), dtype=torch.int64, device=device)
            lanes = words.random_(-(2**63), None, generator=generator).view(torch.int16)
        return lanes[:size].view(batch, self.features)

    def mask(self, batch: int, dtype: torch.dtype, generator: Noise | None = None) -> Tensor:
        """batch x features values: 0 with probability p (to 2^-15), else 1 / (1 - p)."""
        lanes = self.lanes(batch, generator)
        # 15 random bits, less the threshold: the sign says whether to drop.
        lanes = lanes.bitwise_right_shift_(1).sub_(round((self.p - 0.5) * 2**15))
        keep = lanes.bitwise_right_shift_(15).bitwise_not_()
        bits = torch.tensor(1 / (1 - self.p), dtype=dtype).view(INTEGER[dtype])
        return keep.to(INTEGER[dtype]).bitwise_and_(int(bits)).view(dtype)

    def factor(self, batch: int, dtype: torch.dtype) -> Tensor | None:
        """The mask to use, `given` or a fresh one; None where nothing is dropped."""
        if not self.training or self.p == 0:
            return None
        return self.mask(batch, dtype) if self.given is None else self.given

    @override
    def forward(self, input: Tensor) -> Tensor:
        factor = self.factor(len(input), input.dtype)
        return input if factor is None else input * factor.to(input.device)


@contextmanager
def given_masks(drops: Sequence[Dropout], masks: Sequence[Tensor]) -> Iterator[None]:
    """These masks, one for each dropout layer, inside the block; fresh ones again after it."""
    for drop, mask in zip(drops, masks, strict=True):
        drop.given = mask
    try:
        yield
    finally:
        for drop in drops:
            drop.given = None


class Classifier(nn.Module):
    """Base: `forward(inputs) -> (logits_N_C, embedding_N_D)`; `head` maps the second to the first.

    Each kind has its own `features` and, if dropout comes after these, `embed_features`.

    `inputs` are float, N x channels x H x W (images) or N x D (embeddings, points).
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
        """Embedding M_e(x), N x D (Sec. 3.2): the features, if no dropout comes before it."""
        return features

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
        self.hidden = nn.Linear(_size(shape), 16)
        self.last = nn.Linear(16, 16)

    @override
    def features(self, inputs: Tensor) -> Tensor:
        return F.relu(self.last(F.relu(self.hidden(inputs.flatten(1)))))


class MLP(Classifier):
    """Two hidden layers of 128 units (Sec. 4.4), dropout 0.25 after each. D = 128."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(128, classes, dropout=0.25)
        self.hidden = nn.Linear(_size(shape), 128)
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

    Dropout 0.25 before the softmax layer, so that MC-Dropout applies.
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
    # Importing torchvision takes 200 MB; only this classifier needs it.
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


def _size(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape).numel())


class Probe(Classifier):
    """Softmax regression on inputs that are embeddings already, N x D (`probe.solve`)."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__(_size(shape), classes, dropout=0.0)

    @override
    def features(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1)


class Own(Classifier):
    """Any torch module that returns N x C logits, as a classifier of this library.

    Its embedding is the input of its last linear layer. Where it has dropout, use `nn.Dropout`.

    Raises:
        InputError: a module without a linear layer, or that gives anything but that layer's logits.
    """

    def __init__(self, network: nn.Module) -> None:
        nn.Module.__init__(self)
        self.network = network
        linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
        if not linear:
            raise InputError("a classifier of your own must end in an nn.Linear layer")
        self.__dict__["head"] = linear[-1]  # by another name it would be saved twice

    @override
    def features(self, inputs: Tensor) -> Tensor:
        return inputs

    @override
    def predict_features(self, features: Tensor) -> tuple[Tensor, Tensor]:
        seen: list[Tensor] = []
        handle = self.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            logits = self.network(features)
        finally:
            handle.remove()
        sizes = (len(features), self.head.out_features), (len(features), self.head.in_features)
        shapes = [tuple(getattr(x, "shape", ())) for x in (logits, *seen)]
        if shapes != list(sizes):
            raise InputError(
                f"a classifier of your own must return logits {sizes[0]}, made by its last linear "
                f"layer from embeddings {sizes[1]}; here are {shapes}"
            )
        return logits, seen[0]


Factory = Callable[[int, tuple[int, ...]], nn.Module]
"""Makes a fresh classifier for a number of classes and an input shape: a class, or a function."""
CLASSIFIERS: dict[str, Factory] = {
    "toy_mlp": ToyMLP,
    "mlp": MLP,
    "cnn": CNN,
    "resnet18": ResNet18,
    "probe": Probe,
}
CONVOLUTIONAL = ("cnn", "resnet18")


@dataclass(frozen=True)
class Architecture:
    """Which classifier, for how many classes and which input shape (H, W), (H, W, 3) or (D,).

    `name` is one of `CLASSIFIERS`, or a `Factory` of one's own.
    """

    name: str | Factory
    classes: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        if callable(self.name):
            return
        check_name("classifier", self.name, CLASSIFIERS)
        if self.name in CONVOLUTIONAL and len(self.shape) < 2:
            raise InputError(f"classifier {self.name!r} needs images, not inputs of {self.shape}")
        if self.name == "cnn" and min(self.shape[:2]) < 6:
            raise InputError(f"classifier 'cnn' needs images of 6x6 or more, not {self.shape}")
        if self.name == "probe" and len(self.shape) > 1:
            raise InputError(
                "classifier 'probe' needs embeddings; make them with inference.extract, or choose "
                "another classifier"
            )

    @property
    def label(self) -> str:
        """What the classifier is called in tables and files."""
        return self.name if isinstance(self.name, str) else self.name.__name__


def build(architecture: Architecture, seed: int) -> Classifier:
    """A fresh classifier whose initial weights depend on `seed` alone.

    Raises:
        InputError: a classifier that does not give a logit for each class (see `Own`).
    """
    name = architecture.name
    factory = CLASSIFIERS[name] if isinstance(name, str) else name
    with seeded(seed):
        made = factory(architecture.classes, architecture.shape)
    model = made if isinstance(made, Classifier) else Own(made)
    if model.head.out_features != architecture.classes:
        raise InputError(
            f"classifier {architecture.label!r} has {model.head.out_features} outputs for "
            f"{architecture.classes} classes"
        )
    return model


def to_float(inputs: Tensor) -> Tensor:
    """Classifier input from a raw batch: uint8 images to N x channels x H x W in [-1, 3].

    The scaling (x/255 - 0.25) / 0.25 is the same for every data set and near to zero mean and
    unit variance on all of them. Images come channels-last in memory, the faster layout for
    convolutions; embeddings become float32 where they are float16, and points pass as they are.
    """
    if inputs.dtype != torch.uint8:
        return inputs.float() if inputs.dtype == torch.float16 else inputs
    images = inputs.float().div_(63.75).sub_(1.0)
    images = images.unsqueeze(1) if images.ndim == 3 else images.permute(0, 3, 1, 2)
    return images.contiguous(memory_format=torch.channels_last)
