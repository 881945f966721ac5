"""Values that are, or are not, what they are meant to be."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest

from ialelib.utils.checks import check_fields
from ialelib.utils.errors import InputError


@dataclass(frozen=True)
class Inner:
    """A field of another one."""


@dataclass(frozen=True)
class Example:
    """A field of every kind that configurations have."""

    count: int = 1
    rate: float = 0.5
    name: str = "x"
    flag: bool = False
    mode: Literal["scratch", "warm"] = "scratch"
    p: float | Literal["decay"] = 0.5
    factory: str | Callable[[int], Any] = "x"
    parts: tuple[str, ...] = ()
    inner: Inner = Inner()


@pytest.mark.parametrize(
    "fields",
    [
        {"count": np.int32(3), "rate": np.float32(0.1)},
        {"rate": 1, "p": 0},
        {"p": "decay", "mode": "warm", "factory": int},
        {"parts": ("a",), "inner": Inner(), "flag": True},
    ],
)
def test_values_of_the_declared_types_pass(fields: dict[str, Any]) -> None:
    check_fields(Example(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 2.0}, "count must be a whole number, not 2.0"),
        ({"count": "3"}, "count must be a whole number, not '3'"),
        ({"count": True}, "count must be a whole number, not True"),
        ({"rate": "0.1"}, "rate must be a number, not '0.1'"),
        ({"rate": False}, "rate must be a number"),
        ({"name": 3}, "name must be a name, not 3"),
        ({"flag": "no"}, "flag must be true or false"),
        ({"mode": "wram"}, "unknown mode 'wram'; did you mean 'warm'"),
        ({"p": None}, "p must be a number or "),
        ({"factory": 3}, "factory must be a name or "),
        ({"parts": "a"}, "parts must be tuple, not 'a'"),
        ({"inner": Example()}, "inner must be Inner, not"),
    ],
)
def test_others_are_refused_by_the_name_of_the_field(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_fields(Example(**fields))
