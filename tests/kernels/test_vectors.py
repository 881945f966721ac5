"""Vectors in numba's kernels do what arrays would."""

from typing import Any

import numpy as np
from numba import njit

from ialelib.kernels.vectors import add_scaled, loader, lowest, nonzero, relu_mask, store, transpose

load, load_32 = loader(8), loader(32)


@njit
def weighted(rows: Any, factors: Any, start: int, result: Any) -> None:
    total = load(result, start)
    for k in range(len(factors)):
        total = add_scaled(total, factors[k], load(rows, 8 * k))
    store(result, start, total)


@njit
def masked(decides: Any, values: Any, result: Any) -> None:
    store(result, 0, relu_mask(load(decides, 0), load(values, 0)))


@njit
def positions(numbers: Any, result: Any) -> None:
    """Of those that are not zero."""
    bits, n = np.uint64(nonzero(load_32(numbers, 0))), 0
    while bits:
        result[n] = lowest(bits)
        bits &= bits - np.uint64(1)
        n += 1


def test_sums_in_registers_are_those_of_arrays() -> None:
    rng = np.random.default_rng(0)
    rows, factors = rng.random((5, 8), np.float32), rng.random(5, np.float32)
    result = np.ones(20, np.float32)
    weighted(rows.ravel(), factors, 3, result)
    np.testing.assert_allclose(result[3:11], 1 + factors @ rows, rtol=1e-6)
    assert (np.delete(result, range(3, 11)) == 1).all(), "written outside"


def test_zero_where_another_vector_is_not_above_it_but_not_for_nan() -> None:
    decides = np.array([-1, 0, -0.0, 1, np.inf, -np.inf, np.nan, 1e-38], np.float32)
    values, result = np.arange(1, 9, dtype=np.float32), np.empty(8, np.float32)
    masked(decides, values, result)
    assert result.tolist() == [0, 0, 0, 4, 5, 0, 7, 8]
    masked(decides, decides, result)
    np.testing.assert_array_equal(result, np.where(decides <= 0, 0, decides))


def test_bits_of_numbers_that_are_not_zero() -> None:
    numbers, result = np.zeros(32, np.float32), np.full(8, -1, np.float32)
    numbers[[0, 1, 7, 30, 31]] = 1e-45, -2, 4, np.inf, 0.5
    numbers[20] = -0.0
    positions(numbers, result)
    assert result.tolist() == [0, 1, 7, 30, 31, -1, -1, -1]
    numbers[[2, 30]] = np.nan, 0
    positions(numbers, result)
    assert result[:5].tolist() == [0, 1, 2, 7, 31]


@njit
def turned(source: Any, start: int, stride: int, target: Any, to: int, width: int) -> None:
    transpose(source, start, stride, target, to, width)


def test_a_square_that_is_turned_has_columns_for_rows() -> None:
    source, target = np.arange(200, dtype=np.float32), np.full((10, 12), -1, np.float32)
    turned(source, 5, 20, target.ravel(), 14, 12)
    square = source[5:165].reshape(8, 20)[:, :8]
    np.testing.assert_array_equal(target[1:9, 2:10], square.T)
    target[1:9, 2:10] = -1
    assert (target == -1).all(), "written outside"
