"""The CNN's convolutions with their pooling and ReLUs, for training on the CPU.

Of a convolution's outputs under 2x2 max pooling one in four has a gradient, and after ReLU and
dropout about a third of those. The backward pass here visits these alone, and one sample after the
other goes through both convolutions while its numbers are in the processor's cache: from numbers
that are numbers it computes what torch's operators compute, up to rounding, in half of their time.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from typing_extensions import override

from ialelib import kernels
from ialelib.kernels import SIDE, C

# As operators of torch's own, so that its tools see them (`benchmarks/profiling.py`). Everything
# is channels-last: images B x H x W x channels, weights with their outputs first or, for the first
# convolution, last.
LIBRARY = torch.library.Library("ialelib", "DEF")
LIBRARY.define("convolve(Tensor images, Tensor weight_4_4_c_C, Tensor bias_C) -> Tensor")
LIBRARY.define("pool(Tensor maps_B_H_W_C) -> (Tensor, Tensor)")
LIBRARY.define(
    "convolutions_backward(Tensor grad_B_P_C, Tensor which, Tensor maps_B_H_W_C, Tensor images,"
    " Tensor weight_C_2_2_C) -> (Tensor, Tensor, Tensor, Tensor)"
)


@torch.library.impl(LIBRARY, "convolve", "CPU")
def _convolve(images: Tensor, weight_4_4_c_C: Tensor, bias_C: Tensor) -> Tensor:
    batch, height, width, channels = images.shape
    maps = torch.empty(batch, height - SIDE + 1, width - SIDE + 1, C)
    weight = weight_4_4_c_C.flatten().numpy()
    flat = images.flatten(1).numpy(), weight, bias_C.contiguous().numpy()
    kernels.convolve(*flat, channels, maps.shape[2], maps.flatten(1).numpy())
    return maps


@torch.library.impl(LIBRARY, "pool", "CPU")
def _pool(maps_B_H_W_C: Tensor) -> tuple[Tensor, Tensor]:
    batch, height, width = maps_B_H_W_C.shape[:3]
    top = torch.empty(batch, (height // 2) * (width // 2), C)
    which = torch.empty(top.shape, dtype=torch.uint8)
    kernels.pool(maps_B_H_W_C.numpy(), top.numpy(), which.numpy())
    return top, which


@torch.library.impl(LIBRARY, "convolutions_backward", "CPU")
def _backward(
    grad_B_P_C: Tensor, which: Tensor, maps_B_H_W_C: Tensor, images: Tensor, weight_C_2_2_C: Tensor
) -> tuple[Tensor, ...]:
    channels, width = images.shape[3], maps_B_H_W_C.shape[2]
    shapes = (SIDE, SIDE, channels, C), (C,), weight_C_2_2_C.shape, (C,)
    found = tuple(torch.zeros(shape) for shape in shapes)
    samples = (grad_B_P_C, which, maps_B_H_W_C, images)
    kernels.backward(
        *(tensor.flatten(1).numpy() for tensor in samples),
        weight_C_2_2_C.flatten().numpy(),
        (channels, width),
        tuple(tensor.flatten().numpy() for tensor in found),
    )
    return found


class _Features(torch.autograd.Function):
    @staticmethod
    @override
    def forward(
        ctx: Any, images: Tensor, first: Tensor, bias: Tensor, second: Tensor, bias_second: Tensor
    ) -> Tensor:
        if torch.is_autocast_enabled("cpu"):
            maps = F.relu_(F.conv2d(images, first, bias))
        else:
            outputs_last = first.permute(2, 3, 1, 0).contiguous()
            maps = torch.ops.ialelib.convolve(_last(images), outputs_last, bias)
            maps = maps.permute(0, 3, 1, 2)
        top, which = torch.ops.ialelib.pool(_last(F.conv2d(maps, second, bias_second)))
        ctx.save_for_backward(which, maps, images, second)
        return top.flatten(1).to(maps.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        which, maps, images, second = ctx.saved_tensors
        rounded = _last(second.to(maps.dtype))
        grad_B_P_C = grad.float().reshape(which.shape)
        dfirst, dbias, dsecond, dbias_second = torch.ops.ialelib.convolutions_backward(
            grad_B_P_C, which, _last(maps), _last(images), rounded
        )
        return None, dfirst.permute(3, 2, 0, 1), dbias, dsecond.permute(0, 3, 1, 2), dbias_second


def _last(maps: Tensor) -> Tensor:
    """Channels last, in shape and in memory, in the numbers that the kernels read."""
    return maps.permute(0, 2, 3, 1).contiguous().float()


def usable(images: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> bool:
    """Whether the kernels can do it; else torch's operators do, or say what is wrong.

    They take float32 numbers on the CPU, images without a gradient, of the first layer's channels
    and at least 6 x 6 pixels, outside of the transforms of `torch.func`.
    """
    numbers = (images, *first.parameters(), *second.parameters())
    known = all(x.dtype == torch.float32 and x.device.type == "cpu" for x in numbers)
    fitting = (
        images.ndim == 4 and images.shape[1] == first.in_channels and min(images.shape[2:]) > 5
    )
    alone = torch._C._functorch.peek_interpreter_stack() is None
    return known and fitting and alone and not images.requires_grad


def features(images: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """Both convolutions, 4x4 and 2x2 to 32 channels, each with ReLU, and 2x2 pooling (Sec. 4.1).

    From images N x channels x H x W to N x features, ordered by row, column and channel.
    """
    return _Features.apply(images, first.weight, first.bias, second.weight, second.bias)
