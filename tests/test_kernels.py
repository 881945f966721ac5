"""Vectors in numba's kernels do what arrays would."""

from typing import Any

import numpy as np
from numba import njit

from ialelib.kernels import add_scaled, loader, rectified, store

load = loader(8)


@njit
def weighted(rows: Any, factors: Any, start: int, result: Any) -> None:
    total = load(result, start)
    for k in range(len(factors)):
        total = add_scaled(total, factors[k], load(rows, 8 * k))
    store(result, start, total)


@njit
def masked(decides: Any, values: Any, result: Any) -> None:
    store(result, 0, rectified(load(decides, 0), load(values, 0)))


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
