"""One progress bar for every long call, and a line where one begins; silent if nobody watches."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")
SEEN: list[bool] = []
"""In a worker process: whether somebody watches the process that it works for."""


def progress(items: Iterable[T], total: int, label: str, after: float = 0) -> Iterator[T]:
    """Iterate with a bar and the time left, on terminals and in notebooks that somebody runs.

    The bar appears `after` so many seconds: what may be short does without.

    Under papermill, nbval, nbconvert and Voila, and in logs, it prints nothing, so outputs stay
    comparable.
    """
    yield from tqdm(items, total=total, desc=label, delay=after, disable=not watched())


def watched() -> bool:
    """Whether somebody sees what is printed: on a terminal, or in a notebook's front end.

    A kernel tells front ends from programs that execute notebooks by whether it may ask for
    input: there is somebody to answer, or there is not.
    """
    ipython = sys.modules.get("IPython")  # which every kernel has loaded, and scripts need not have
    kernel = getattr(ipython and ipython.get_ipython(), "kernel", None)
    if kernel is None:
        return sys.stderr.isatty()
    return bool(getattr(kernel, "_allow_stdin", False))


def tell(line: str) -> None:
    """Print a line where somebody sees it; from workers, too, whose bars would be in the way."""
    if watched() or True in SEEN:
        print(line, file=sys.stderr, flush=True)
