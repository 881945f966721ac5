"""The CNN from its images to its first dense layer, for training on the CPU.

Of a convolution's outputs under 2x2 max pooling one in four has a gradient, and after ReLU and
dropout about a third of those; a third of the dense layer's inputs are not zero. The kernels visit
these alone, give the pooling's outputs by fewer products, and take one sample after the other
through both convolutions while its numbers are in the processor's cache: from finite numbers they
compute what torch's operators compute, up to rounding.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from typing_extensions import override

from ialelib import backward_kernels, dense_kernels, kernels
from ialelib.kernels import SIDE, C
from ialelib.models import Dropout

# As operators of torch's own, so that its tools see them (`benchmarks/profiling.py`). Everything
# is channels-last: images B x H x W x channels, weights with their outputs first or, for the first
# convolution and the dense layer, last. Of the P windows of the pooling, `which` says which output
# is the maximum, and `factor_B_PC` is what dropout multiplies by.
LIBRARY = torch.library.Library("ialelib", "DEF")
LIBRARY.define(
    "convolutions(Tensor images, Tensor weight_4_4_c_C, Tensor bias_C, Tensor weight_C_2_2_C,"
    " Tensor bias_second_C, Tensor factor_B_PC) -> (Tensor, Tensor, Tensor)"
)
LIBRARY.define("pool(Tensor maps_B_H_W_C) -> (Tensor, Tensor)")
LIBRARY.define(
    "convolutions_backward(Tensor grad_B_PC, Tensor which, Tensor maps_B_H_W_C, Tensor images,"
    " Tensor weight_C_2_2_C) -> (Tensor, Tensor, Tensor, Tensor)"
)
LIBRARY.define("dense(Tensor x_B_PC, Tensor weight_PC_D, Tensor bias_D) -> Tensor")
LIBRARY.define(
    "dense_backward(Tensor grad_B_D, Tensor x_B_PC, Tensor factor_B_PC, Tensor weight_PC_D)"
    " -> (Tensor, Tensor)"
)


@torch.library.impl(LIBRARY, "convolutions", "CPU")
def _convolutions(
    images: Tensor,
    weight_4_4_c_C: Tensor,
    bias_C: Tensor,
    weight_C_2_2_C: Tensor,
    bias_second_C: Tensor,
    factor_B_PC: Tensor,
) -> tuple[Tensor, ...]:
    batch, height, width, _ = images.shape
    maps = torch.empty(batch, height - SIDE + 1, width - SIDE + 1, C)
    top = torch.empty(factor_B_PC.shape)
    which = torch.empty(factor_B_PC.shape, dtype=torch.uint8)
    kernels.forward(
        images.flatten(1).numpy(),
        _flat(weight_4_4_c_C, bias_C),
        _flat(weight_C_2_2_C, bias_second_C),
        maps.shape[2],
        factor_B_PC.contiguous().numpy(),
        (maps.flatten(1).numpy(), top.numpy(), which.numpy()),
    )
    return top, which, maps


@torch.library.impl(LIBRARY, "pool", "CPU")
def _pool(maps_B_H_W_C: Tensor) -> tuple[Tensor, Tensor]:
    batch, height, width = maps_B_H_W_C.shape[:3]
    top = torch.empty(batch, (height // 2) * (width // 2) * C)
    which = torch.empty(top.shape, dtype=torch.uint8)
    kernels.pool(maps_B_H_W_C.flatten(1).numpy(), width, top.numpy(), which.numpy())
    return top, which


@torch.library.impl(LIBRARY, "convolutions_backward", "CPU")
def _convolutions_backward(
    grad_B_PC: Tensor, which: Tensor, maps_B_H_W_C: Tensor, images: Tensor, weight_C_2_2_C: Tensor
) -> tuple[Tensor, ...]:
    channels, width = images.shape[3], maps_B_H_W_C.shape[2]
    shapes = (SIDE, SIDE, channels, C), (C,), weight_C_2_2_C.shape, (C,)
    found = tuple(torch.zeros(shape) for shape in shapes)
    samples = (grad_B_PC, which, maps_B_H_W_C, images)
    backward_kernels.backward(
        *(tensor.flatten(1).numpy() for tensor in samples),
        *_flat(weight_C_2_2_C),
        (channels, width),
        _flat(*found),
    )
    return found


@torch.library.impl(LIBRARY, "dense", "CPU")
def _dense(x_B_PC: Tensor, weight_PC_D: Tensor, bias_D: Tensor) -> Tensor:
    result = torch.empty(len(x_B_PC), len(bias_D))
    dense_kernels.dense(x_B_PC.numpy(), *_flat(weight_PC_D, bias_D), result.numpy())
    return result


@torch.library.impl(LIBRARY, "dense_backward", "CPU")
def _dense_backward(
    grad_B_D: Tensor, x_B_PC: Tensor, factor_B_PC: Tensor, weight_PC_D: Tensor
) -> tuple[Tensor, Tensor]:
    dx_B_PC, dweight_PC_D = torch.empty(x_B_PC.shape), torch.empty(weight_PC_D.shape)
    dense_kernels.dense_backward(
        x_B_PC.numpy(),
        factor_B_PC.contiguous().numpy(),
        *_flat(weight_PC_D),
        grad_B_D.contiguous().numpy(),
        dx_B_PC.numpy(),
        *_flat(dweight_PC_D),
    )
    return dx_B_PC, dweight_PC_D


def _flat(*tensors: Tensor) -> tuple[Any, ...]:
    return tuple(tensor.contiguous().flatten().numpy() for tensor in tensors)


class _Hidden(torch.autograd.Function):
    """In float32: up to the dense layer's outputs."""

    @staticmethod
    @override
    def forward(ctx: Any, images: Tensor, factor: Tensor, *parameters: Tensor) -> Tensor:
        first, bias, second, bias_second, dense, bias_dense = parameters
        images, second = _last(images), _last(second)
        outputs_last = first.permute(2, 3, 1, 0).contiguous(), bias
        x, which, maps = torch.ops.ialelib.convolutions(
            images, *outputs_last, second, bias_second, factor
        )
        dense = dense.t().contiguous()
        ctx.save_for_backward(x, factor, which, maps, images, second, dense)
        return torch.ops.ialelib.dense(x, dense, bias_dense)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, factor, which, maps, images, second, dense = ctx.saved_tensors
        dx, ddense = torch.ops.ialelib.dense_backward(grad, x, factor, dense)
        found = torch.ops.ialelib.convolutions_backward(dx, which, maps, images, second)
        return None, None, *_as_parameters(*found), ddense.t(), grad.sum(0)


class _Features(torch.autograd.Function):
    """In bfloat16: up to the features, as torch convolves and multiplies these numbers faster."""

    @staticmethod
    @override
    def forward(
        ctx: Any, images: Tensor, first: Tensor, bias: Tensor, second: Tensor, bias_second: Tensor
    ) -> Tensor:
        maps = F.relu_(F.conv2d(images, first, bias))
        top, which = torch.ops.ialelib.pool(_last(F.conv2d(maps, second, bias_second)))
        ctx.save_for_backward(which, maps, images, second)
        return top.to(maps.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        which, maps, images, second = ctx.saved_tensors
        rounded = _last(second.to(maps.dtype))
        found = torch.ops.ialelib.convolutions_backward(
            grad.float(), which, _last(maps), _last(images), rounded
        )
        return None, *_as_parameters(*found)


def _last(maps: Tensor) -> Tensor:
    """Channels last, in shape and in memory, in the numbers that the kernels read."""
    return maps.permute(0, 2, 3, 1).contiguous().float()


def _as_parameters(first: Tensor, bias: Tensor, second: Tensor, bias_second: Tensor) -> Any:
    """The gradients of both convolutions in the order of torch's weights."""
    return first.permute(3, 2, 0, 1), bias, second.permute(0, 3, 1, 2), bias_second


def usable(images: Tensor, first: nn.Conv2d, second: nn.Conv2d, dense: nn.Linear) -> bool:
    """Whether the kernels can do it; else torch's operators do, or say what is wrong.

    They take float32 numbers on the CPU, at least one image, without a gradient, of the size and
    channels that the layers are for, and work outside of the transforms of `torch.func`.
    """
    layers = (*first.parameters(), *second.parameters(), *dense.parameters())
    known = all(x.dtype == torch.float32 and x.device.type == "cpu" for x in (images, *layers))
    alone = torch._C._functorch.peek_interpreter_stack() is None
    return known and alone and not images.requires_grad and _fitting(images, first, dense)


def _fitting(images: Tensor, first: nn.Conv2d, dense: nn.Linear) -> bool:
    if images.ndim != 4 or images.shape[1] != first.in_channels or len(images) == 0:
        return False
    if min(images.shape[2:]) < SIDE + 2:  # not one window
        return False
    windows = (images.shape[2] - SIDE) // 2 * ((images.shape[3] - SIDE) // 2)
    return (dense.in_features, dense.out_features) == (windows * C, int(dense_kernels.OUTPUTS))


def hidden(
    images: Tensor, drop: Dropout, first: nn.Conv2d, second: nn.Conv2d, dense: nn.Linear
) -> Tensor:
    """The dense layer's outputs, N x 128, of images N x channels x H x W (Sec. 4.1).

    Between them both convolutions, 4x4 and 2x2 to 32 channels, each with ReLU, 2x2 pooling and
    dropout. Features are ordered by row, column and channel.
    """
    convolutions = first.weight, first.bias, second.weight, second.bias
    if torch.is_autocast_enabled("cpu"):
        return dense(drop(_Features.apply(images, *convolutions)))
    factor = drop.factor(len(images), torch.float32)
    shape = len(images), dense.in_features
    factor = torch.ones(shape) if factor is None else factor.expand(shape)
    return _Hidden.apply(images, factor, *convolutions, dense.weight, dense.bias)
