"""The batch: checks, runs and shows notebooks; no notebook imports it."""

from typing import Any

import lazy_loader

_attach: tuple[Any, Any, Any] = lazy_loader.attach(
    __name__, submodules=["check", "execute", "gallery", "lock", "strip_widgets"]
)
__getattr__, __dir__, __all__ = _attach
