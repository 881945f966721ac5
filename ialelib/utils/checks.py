"""Whether values are what they are meant to be: whole numbers, indices, names, fields."""

from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from dataclasses import fields
from numbers import Real
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from torch import Tensor

from ialelib.utils.errors import InputError, unknown


def check_indices(name: str, values: Any, size: int | None = None) -> np.ndarray:
    """Different indices from 0, below `size`, in one dimension: as int64, in their order.

    Raises:
        InputError: anything else; the message calls them `name`.
    """
    array = check_whole(name, values)
    outside = array[(array < 0) | (array >= (np.inf if size is None else size))]
    if len(outside):
        end = "or more" if size is None else f"to {size - 1}"
        raise InputError(f"{name} holds {outside[:5].tolist()}; indices are 0 {end}")
    if len(np.unique(array)) < len(array):
        raise InputError(f"{name} holds an index twice")
    return array.astype(np.int64)


def check_whole(name: str, values: Any, remedy: str = "") -> np.ndarray:
    """Whole numbers in one dimension, as an array of their own type.

    Raises:
        InputError: anything else; the message calls them `name`, and ends with the `remedy`.
    """
    array = as_array(name, values)
    if array.ndim != 1 or (array.size and not np.issubdtype(array.dtype, np.integer)):
        raise InputError(
            f"{name} must be whole numbers in one dimension, not {array.dtype} of shape "
            f"{array.shape}{remedy}"
        )
    return array


def as_array(name: str, values: Any) -> np.ndarray:
    """Values as an array, also a tensor of any device; InputError for lists of other lengths."""
    check_unmasked(name, values)
    try:
        return np.asarray(values.cpu() if isinstance(values, Tensor) else values)
    except ValueError:
        raise InputError(f"{name} must be whole numbers, not lists of different lengths") from None
    except (TypeError, NotImplementedError) as error:  # torch's, for tensors that NumPy lacks
        raise InputError(f"{name} must be values in memory that NumPy has: {error}") from None


def check_unmasked(name: str, values: Any) -> None:
    """Raises InputError for an array with masked values, which would count as the others do."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise InputError(f"{name} holds masked values, which would count; take them out first")


def is_whole(value: Any, least: int, most: float = np.inf) -> bool:
    """Whether it is a whole number from `least` to `most`, of Python or NumPy; True is none."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and bool(least <= value <= most)


def check_count(name: str, value: Any, least: int = 1) -> None:
    """Raises InputError for anything but a whole number from `least`."""
    if not is_whole(value, least):
        raise InputError(f"{name} must be a whole number from {least}, not {value!r}")


def check_kind(name: str, value: Any, kind: type) -> None:
    """Raises InputError for anything but an object of that class."""
    if not isinstance(value, kind):
        raise InputError(f"{name} must be a {kind.__name__}, not {value!r}")


def check_list(name: str, values: Any) -> None:
    """Raises InputError for a single name, a set, or what else is no list, tuple or the like."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise InputError(f"{name} must be a list, not {values!r}")
    if isinstance(values, AbstractSet):
        raise InputError(f"{name} must be a list: a set has no order, another one in each process")


def check_name(kind: str, name: Any, accepted: Iterable[str]) -> None:
    """Raises InputError for anything but one of the names, with the nearest of them."""
    if not isinstance(name, str) or name not in accepted:
        raise unknown(kind, name, accepted)


def check_fields(config: Any) -> None:
    """Raises InputError for a dataclass with a field that is not of its declared type.

    NumPy's numbers will do for Python's, and whole ones for others; what a list, a tuple or a
    mapping holds is not looked at.
    """
    hints = get_type_hints(type(config))
    for name in (field.name for field in fields(config)):
        value, hint = getattr(config, name), hints[name]
        if get_origin(hint) is Literal:
            check_name(name, value, get_args(hint))
            continue
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]
        if not any(_fits(value, kind) for kind in kinds):
            raise InputError(f"{name} must be {_called(kinds)}, not {value!r}")


def _fits(value: Any, kind: Any) -> bool:
    plain = get_origin(kind) or kind
    if plain is Literal:  # one of several kinds: a misspelt one gets an error of its own
        return isinstance(value, str)
    if plain is int:
        return is_whole(value, -(2**63))
    if plain is float:
        return isinstance(value, Real) and not isinstance(value, bool)
    if plain is Callable:
        return callable(value)
    return plain is Any or isinstance(value, plain)


def _called(kinds: Iterable[Any]) -> str:
    usual = {int: "a whole number", float: "a number", str: "a name", bool: "true or false"}
    return " or ".join(usual.get(kind, str(getattr(kind, "__name__", kind))) for kind in kinds)
