"""The batch: checks, runs and shows notebooks; no notebook imports it."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "check",
        "console",
        "execute",
        "executed",
        "follow",
        "gallery",
        "lock",
        "screen",
        "strip_widgets",
    ],
)
