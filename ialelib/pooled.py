"""The CNN's features in bfloat16 on the CPU, for training, with a backward pass of its own.

Of a convolution's outputs under 2x2 max pooling one in four has a gradient, and after ReLU and
dropout about a third of those: numba's kernels visit these alone. Forward, torch convolves such
numbers faster than they would. (In float32 kernels do all of a step: `ialelib.cnn_steps`.)
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from typing_extensions import override

from ialelib import backward_kernels, forward_kernels
from ialelib.kernels import NONE, SIDE, C

BLACK = np.float32(-1)  # of an image as `to_float` gives it: what empty windows see

# Everything in the kernels is channels-last: images B x H x W x channels, weights with their
# outputs first or, for the first convolution, last. Of the P windows of the pooling, `which` says
# which output is the maximum.


class _Features(torch.autograd.Function):
    @staticmethod
    @override
    def forward(
        ctx: Any, images: Tensor, first: Tensor, bias: Tensor, second: Tensor, bias_second: Tensor
    ) -> Tensor:
        maps = F.relu_(F.conv2d(images, first, bias))
        top, which = _pool(_last(F.conv2d(maps, second, bias_second)))
        ctx.save_for_backward(which, maps, images, second)
        return top.to(maps.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        which, maps, images, second = ctx.saved_tensors
        rounded = _last(second.to(maps.dtype))
        grad = grad.float().masked_fill(which == int(NONE), 0)
        first, bias, second, bias_second = _backward(
            grad, which, _last(maps), _last(images), rounded
        )
        return None, first.permute(3, 2, 0, 1), bias, second.permute(0, 3, 1, 2), bias_second


def _pool(maps_B_H_W_C: Tensor) -> tuple[Tensor, Tensor]:
    batch, height, width = maps_B_H_W_C.shape[:3]
    top = torch.empty(batch, (height // 2) * (width // 2) * C)
    which = torch.empty(top.shape, dtype=torch.uint8)
    forward_kernels.pool(maps_B_H_W_C.flatten(1).numpy(), width, top.numpy(), which.numpy())
    return top, which


def _backward(
    grad_B_PC: Tensor, which: Tensor, maps_B_H_W_C: Tensor, images: Tensor, weight_C_2_2_C: Tensor
) -> tuple[Tensor, ...]:
    channels, width = images.shape[3], maps_B_H_W_C.shape[2]
    shapes = (SIDE, SIDE, channels, C), (C,), weight_C_2_2_C.shape, (C,)
    found = tuple(torch.zeros(shape) for shape in shapes)
    samples = (grad_B_PC, which, maps_B_H_W_C, images)
    backward_kernels.backward(
        *(tensor.contiguous().flatten(1).numpy() for tensor in samples),
        weight_C_2_2_C.flatten().numpy(),
        (channels, width, BLACK),
        tuple(tensor.flatten().numpy() for tensor in found),
    )
    return found


def _last(maps: Tensor) -> Tensor:
    """Channels last, in shape and in memory, in the numbers that the kernels read."""
    return maps.permute(0, 2, 3, 1).contiguous().float()


def usable(images: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> bool:
    """Whether the kernels can do it; else torch's operators do, or say what is wrong.

    They take float32 numbers on the CPU under autocast, at least one image of one window, without
    a gradient, and work outside of the transforms of `torch.func`.
    """
    if not torch.is_autocast_enabled("cpu") or images.ndim != 4 or images.requires_grad:
        return False
    layers = (*first.parameters(), *second.parameters())
    known = all(x.dtype == torch.float32 and x.device.type == "cpu" for x in (images, *layers))
    alone = torch._C._functorch.peek_interpreter_stack() is None
    fitting = images.shape[1] == first.in_channels and min(images.shape[2:]) >= SIDE + 2
    return known and alone and fitting and len(images) > 0


def features(images: Tensor, first: nn.Conv2d, second: nn.Conv2d) -> Tensor:
    """N x (height * width * 32) numbers of images N x channels x H x W, by row, column, channel.

    Both convolutions, 4x4 and 2x2 to 32 channels, with ReLU and 2x2 pooling (Sec. 4.1).
    """
    return _Features.apply(images, first.weight, first.bias, second.weight, second.bias)
