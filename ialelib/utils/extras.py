"""What to install where a package is missing that only some of the library needs."""

from collections.abc import Iterator
from contextlib import contextmanager

from ialelib.utils.errors import InputError


@contextmanager
def extra(name: str) -> Iterator[None]:
    """For the imports of packages that an extra of this library brings.

    Raises:
        InputError: one of them cannot be imported; the message names the extra.
    """
    try:
        yield
    except ImportError as error:
        raise InputError(f"{error}; install it with: pip install 'ialelib[{name}]'") from None
