"""The CNN's second convolution with its pooling and ReLUs, for training on the CPU.

Of a convolution's outputs under 2x2 max pooling one in four has a gradient, and after ReLU and
dropout about a third of those. The backward pass here visits these alone: it computes what torch's
operators compute, up to rounding, in a third of their time.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from typing_extensions import override

# Compile-time constants, so that the compiler unrolls the loops over them. Indices are unsigned,
# as those that may be negative, counted from the end, keep it from using vector instructions.
C = 32  # channels, of input and output
U = np.uint64
PAIR, KERNEL = U(2 * C), U(4 * C)  # numbers in a row of a 2x2 kernel, and in all of it
NONE = np.uint8(4)  # where none of a window's four outputs is above zero
ZERO = np.float32(0)

# Sums may be reordered, at compile time, and products fused with them; nothing else.
kernel = njit(
    cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract", "reassoc"}
)


@kernel
def pool(y_B_H_W_C: Any, top_B_P_C: Any, which_B_P_C: Any) -> None:
    """Each 2x2 window's maximum, or 0 if that is more; and which of the four it is, or NONE."""
    batch, height, width = y_B_H_W_C.shape[:3]
    for b in range(batch):
        for p in range((height // 2) * (width // 2)):
            i, j = p // (width // 2) * 2, p % (width // 2) * 2
            first, second = y_B_H_W_C[b, i, j], y_B_H_W_C[b, i, j + 1]
            third, fourth = y_B_H_W_C[b, i + 1, j], y_B_H_W_C[b, i + 1, j + 1]
            top_C, which_C = top_B_P_C[b, p], which_B_P_C[b, p]
            for c in range(C):
                upper, lower = max(first[c], second[c]), max(third[c], fourth[c])
                up = np.uint8(second[c] > first[c])
                low = np.uint8(2) + np.uint8(fourth[c] > third[c])
                best = max(upper, lower)
                top_C[c] = ZERO if best < ZERO else best
                at = low if lower > upper else up
                which_C[c] = at if best > ZERO else NONE


@kernel
def gather(grad_P_C: Any, which_P_C: Any, width: int, stride: int, lists: Any) -> Any:
    """List one sample's gradients that are not zero; how many.

    `lists`: positions in windows and channels, in inputs and in weights, and the gradients.
    """
    found, input_at, kernel_at, value = lists
    n, grad, which = U(0), grad_P_C.reshape(-1), which_P_C.reshape(-1)
    for c in range(U(len(grad))):
        found[n] = c
        n += U((grad[c] != ZERO) & (which[c] != NONE))
    for k in range(n):
        at = U(found[k])
        p, q = np.int64(at // U(C)), which[at]
        corner = p // width * 2 * stride + p % width * 2 * C
        input_at[k] = corner + (q >> 1) * stride + (q & 1) * C
        kernel_at[k], value[k] = at % U(C) * KERNEL, grad[at]
    return n


@kernel
def to_inputs(dx: Any, x: Any, w: Any, stride: int, lists: Any, n: int) -> None:
    """Gradient of one sample's inputs before their ReLU."""
    _, input_at, kernel_at, value = lists
    dx[:] = ZERO
    for k in range(n):
        i, o, v = U(input_at[k]), U(kernel_at[k]), value[k]
        for t in range(PAIR):
            dx[i + t] += v * w[o + t]
        i, o = i + U(stride), o + PAIR
        for t in range(PAIR):
            dx[i + t] += v * w[o + t]
    for t in range(U(len(x))):
        dx[t] = dx[t] if x[t] > ZERO else ZERO


@kernel
def to_weights(dw: Any, dbias_C: Any, x: Any, stride: int, lists: Any, n: int) -> None:
    """Add one sample's share to the gradients of weights and biases."""
    _, input_at, kernel_at, value = lists
    for k in range(n):
        i, o, v = U(input_at[k]), U(kernel_at[k]), value[k]
        dbias_C[o // KERNEL] += v
        for t in range(PAIR):
            dw[o + t] += v * x[i + t]
        i, o = i + U(stride), o + PAIR
        for t in range(PAIR):
            dw[o + t] += v * x[i + t]


@kernel
def backward(
    grad_B_P_C: Any, which_B_P_C: Any, x_B: Any, w: Any, width: int, dx_B: Any, dw: Any, dbias: Any
) -> None:
    """Gradients of inputs, B x height * width * C, of weights, C * KERNEL, and of biases, C."""
    stride, most = width * C, grad_B_P_C.shape[1] * C + 1
    at, grads = np.empty((3, most), np.uint32), np.empty(most, np.float32)
    lists = at[0], at[1], at[2], grads
    for b in range(len(x_B)):
        n = gather(grad_B_P_C[b], which_B_P_C[b], (width - 1) // 2, stride, lists)
        to_inputs(dx_B[b], x_B[b], w, stride, lists, n)
        to_weights(dw, dbias, x_B[b], stride, lists, n)


# As operators of torch's own, so that its tools see them (`benchmarks/profiling.py`).
LIBRARY = torch.library.Library("ialelib", "DEF")
LIBRARY.define("pool(Tensor maps_B_H_W_C) -> (Tensor, Tensor)")
LIBRARY.define(
    "pool_backward(Tensor grad_B_P_C, Tensor which, Tensor x_B_H_W_C, Tensor weight_C_2_2_C)"
    " -> (Tensor, Tensor, Tensor)"
)


@torch.library.impl(LIBRARY, "pool", "CPU")
def _pool(maps_B_H_W_C: Tensor) -> tuple[Tensor, Tensor]:
    batch, height, width = maps_B_H_W_C.shape[:3]
    top = torch.empty(batch, (height // 2) * (width // 2), C)
    which = torch.empty(top.shape, dtype=torch.uint8)
    pool(maps_B_H_W_C.numpy(), top.numpy(), which.numpy())
    return top, which


@torch.library.impl(LIBRARY, "pool_backward", "CPU")
def _pool_backward(
    grad_B_P_C: Tensor, which_B_P_C: Tensor, x_B_H_W_C: Tensor, weight_C_2_2_C: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    dx, dw, dbias = torch.empty_like(x_B_H_W_C), torch.zeros_like(weight_C_2_2_C), torch.zeros(C)
    backward(
        grad_B_P_C.numpy(),
        which_B_P_C.numpy(),
        x_B_H_W_C.flatten(1).numpy(),
        weight_C_2_2_C.flatten().numpy(),
        x_B_H_W_C.shape[2],
        dx.flatten(1).numpy(),
        dw.flatten().numpy(),
        dbias.numpy(),
    )
    return dx, dw, dbias


class _ConvolvePool(torch.autograd.Function):
    @staticmethod
    @override
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        x = F.relu(maps)
        top, which = torch.ops.ialelib.pool(_last(F.conv2d(x, weight, bias)))
        ctx.save_for_backward(which, x, weight)
        return top.flatten(1).to(maps.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        which, x, weight = ctx.saved_tensors
        rounded = _last(weight.to(x.dtype))
        dx, dw, dbias = torch.ops.ialelib.pool_backward(
            grad.float().reshape(which.shape), which, _last(x), rounded
        )
        return dx.to(x.dtype).permute(0, 3, 1, 2), dw.permute(0, 3, 1, 2), dbias


def _last(maps: Tensor) -> Tensor:
    """Channels last, in shape and in memory, in the numbers that the kernels read."""
    return maps.permute(0, 2, 3, 1).contiguous().float()


def usable(maps: Tensor) -> bool:
    """Whether these are float32 or bfloat16, on the CPU, and in no transform of `torch.func`."""
    known = maps.dtype in (torch.float32, torch.bfloat16) and maps.device.type == "cpu"
    return known and torch._C._functorch.peek_interpreter_stack() is None


def convolve_pool(maps: Tensor, layer: nn.Conv2d) -> Tensor:
    """ReLU, 2x2 convolution of 32 to 32 channels, 2x2 max pooling and ReLU (Sec. 4.1).

    From maps N x 32 x H x W to N x features, ordered by row, column and channel.
    """
    return _ConvolvePool.apply(maps, layer.weight, layer.bias)
