"""Small tools that know nothing of active learning."""

from typing import Any

import lazy_loader

_attach: tuple[Any, Any, Any] = lazy_loader.attach(
    __name__,
    submodules=[
        "adam",
        "cache",
        "cpu",
        "errors",
        "files",
        "machine",
        "progress",
        "rows",
        "seeds",
        "workers",
    ],
)
__getattr__, __dir__, __all__ = _attach
