"""Training of the CNN on the CPU in float32 by kernels, without autograd.

Of a convolution's outputs under 2x2 max pooling one in four has a gradient, and ReLU and dropout
leave about a third of those. They leave a third of the dense layer's inputs, and a sixth of its
outputs' gradients (on MNIST). And many images are mostly background. The kernels visit what is
left, give the pooling's outputs by fewer products, and take one sample after the other through both
convolutions while its values are in the processor's cache. They compute what torch's operators
compute, from finite values, up to rounding.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.kernels import backward, common, forward, head
from ialelib.kernels import dense as dense_kernels
from ialelib.kernels.common import SIDE, C
from ialelib.models import CNN, to_float
from ialelib.recipes import TrainJob, batches
from ialelib.utils.errors import InputError

Array = np.ndarray
SPAN = int(dense_kernels.SPAN)
LINE = 16  # float32 values in a line of the processor's cache


def train(model: CNN, job: TrainJob) -> None:
    """All steps of a job, on the batches and with the dropout that torch would have."""
    recipe, count = job.recipe, job.recipe.length(len(job.labels))
    order, noise = job.generators(torch.device("cpu"))
    steps = Steps(model, job.inputs, job.labels, recipe.batch_size, recipe.lr)
    for step, batch in enumerate(batches(len(job.labels), recipe.batch_size, count, order)):
        lanes = [drop.lanes(len(batch), noise) for drop in (model.drop, model.drop_maps)]
        steps.step(batch, lanes, recipe.rate(step, count))
    steps.finish()


class Steps:
    """Adam steps of one CNN on uint8 images, N x H x W or N x H x W x 3, with int64 labels.

    The steps change its own copy of the weights; `finish` gives them to the model.

    Raises:
        InputError: images of a size that the model is not for, not a label for each, or labels that
            it has no class for.
    """

    def __init__(
        self, model: CNN, inputs: Array, labels: Array, batch_size: int, lr: float
    ) -> None:
        _check(model, inputs, labels)
        self.model, self.labels, self.lr, self.taken = model, labels, lr, 0
        self.inputs = inputs.reshape(len(inputs), -1)
        levels = to_float(torch.arange(256, dtype=torch.uint8).view(1, 1, 256))
        self.levels = levels.flatten().numpy()
        bytes_256 = sum(np.bincount(image, minlength=256) for image in self.inputs)
        height, width = (size - SIDE + 1 for size in inputs.shape[1:3])
        self.sizes = height, width, self.levels[np.argmax(bytes_256)]
        self.dropouts = [_dropout(drop.p) for drop in (model.drop, model.drop_maps)]
        dense, layers = self._blocks(), [_flat(x) for x in self._small()]
        small, ends = np.concatenate(layers), np.cumsum([len(layer) for layer in layers])[:-1]
        size, features, hidden = min(batch_size, len(inputs)), *model.dense.weight.t().shape
        counts = self.inputs.shape[1], features, features, hidden, hidden
        self.which = np.empty((size, features), np.uint8)
        *self.buffers, self.dense, self.small, gradient = _zeros(
            *((size, count) for count in counts), (3, len(dense)), (3, len(small)), (1, len(small))
        )
        self.dense[0], self.small[0], self.gradient = dense, small, gradient[0]
        self.weights = np.split(self.small[0], ends)
        self.gradients = np.split(self.gradient, ends)

    def _blocks(self) -> Array:
        """The dense layer's weights as its kernels take them, with zeros to fill the last block."""
        weight_O_F = F.pad(self.model.dense.weight, (0, -self.model.dense.in_features % SPAN))
        return _flat(weight_O_F.unflatten(1, (-1, SPAN)).transpose(0, 1))

    def _small(self) -> list[Any]:
        """All parameters but the dense layer's weights, their dimensions in the kernels' order."""
        model = self.model
        return [
            model.conv1.weight.permute(2, 3, 1, 0),
            model.conv1.bias,
            model.conv2.weight.permute(0, 2, 3, 1),
            model.conv2.bias,
            model.dense.bias,
            model.head.weight,
            model.head.bias,
        ]

    def step(self, batch: Tensor, lanes: Sequence[Tensor], rate: float = 1.0) -> None:
        """One step on the samples at these positions, at `rate` times the learning rate.

        There must be no more of them than `batch_size`.

        `lanes`: random bits of both dropouts, the one before the last layer first.
        """
        rows = batch.numpy()
        images, top, dtop, hidden, dhidden = (x[: len(rows)] for x in self.buffers)
        which, (last_lanes, lanes_maps) = self.which[: len(rows)], [x.numpy() for x in lanes]
        last, dropped = self.dropouts
        first, bias, second, bias_second, bias_dense, *layer = self.weights
        *dconvolutions, dbias_dense = self.gradients[:5]
        dhead = (*self.gradients[5:], dbias_dense, dhidden)
        self.gradient[:] = 0
        common.look_up(self.inputs, rows, self.levels, images)
        convolutions = (first, bias), (second, bias_second)
        forward.forward(images, *convolutions, self.sizes, lanes_maps, dropped, (top, which))
        dense_kernels.dense(top, self.dense[0], bias_dense, hidden)
        head.head(hidden, tuple(layer), self.labels[rows], last_lanes, last, dhead)
        rates = self._rates(rate)
        dense_kernels.dense_backward(top, dropped[1], dhidden, dtop, tuple(self.dense), rates)
        backward.backward(
            dtop, which, images, convolutions[0], second, self.sizes, tuple(dconvolutions)
        )
        head.adam(tuple(self.small), self.gradient, 0, len(self.gradient), rates)

    def _rates(self, rate: float) -> tuple[np.float32, np.float32]:
        self.taken += 1
        bias_mean, bias_square = 1 - 0.9**self.taken, 1 - 0.999**self.taken
        return np.float32(self.lr * rate / bias_mean), np.float32(bias_square**-0.5)

    @torch.no_grad()
    def finish(self) -> None:
        """Write the weights into the model's parameters."""
        outputs, inputs = self.model.dense.weight.shape
        blocks = torch.from_numpy(self.dense[0]).view(-1, outputs, SPAN)
        self.model.dense.weight.copy_(blocks.transpose(0, 1).flatten(1)[:, :inputs])
        for parameter, values in zip(self._small(), self.weights, strict=True):
            parameter.copy_(torch.from_numpy(values).view(parameter.shape))


def _check(model: CNN, inputs: Array, labels: Array) -> None:
    classes, channels = model.head.out_features, inputs.shape[3] if inputs.ndim == 4 else 1
    windows = (inputs.shape[1] - SIDE) // 2 * ((inputs.shape[2] - SIDE) // 2)
    if (channels, windows * C) != (model.conv1.in_channels, model.dense.in_features):
        raise InputError(f"the classifier to start from is not for images of {inputs.shape[1:]}")
    if labels.dtype.kind not in "iu":
        raise InputError(f"labels must be whole numbers, not {labels.dtype}")
    if len(inputs) != len(labels):
        raise InputError(f"{len(inputs)} images need as many labels, not {len(labels)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise InputError(
            f"labels must lie between 0 and {classes - 1}, not {labels.min()} and {labels.max()}"
        )


def _flat(parameter: Tensor) -> Array:
    return parameter.detach().contiguous().flatten().numpy()


def _zeros(*shapes: tuple[int, int]) -> list[Array]:
    """Arrays side by side in one piece of memory, which the system may keep in larger pages."""
    sizes = [-(-math.prod(shape) // LINE) * LINE for shape in shapes]
    memory = np.zeros(sum(sizes) + LINE, np.float32)
    aligned = memory[-memory.ctypes.data % (4 * LINE) // 4 :]
    starts = np.cumsum([0, *sizes])
    return [
        aligned[start : start + math.prod(shape)].reshape(shape)
        for start, shape in zip(starts, shapes, strict=False)
    ]


def _dropout(p: float) -> tuple[np.int16, np.float32]:
    """What 16 random bits must reach to keep a value, and the factor of kept values."""
    return np.int16(round((p - 0.5) * 2**15) * 2), np.float32(1 / (1 - p))
