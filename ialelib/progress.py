"""One progress bar for every long call; silent where nobody watches."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")


def progress(items: Iterable[T], total: int, label: str) -> Iterator[T]:
    """Iterate with a bar and the time left, on a terminal only.

    Under papermill, nbval and in logs it prints nothing, so outputs stay comparable.
    """
    yield from tqdm(items, total=total, desc=label, disable=not sys.stderr.isatty())
