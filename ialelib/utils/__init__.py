"""Small tools that know nothing of active learning."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submodules=[
        "adam",
        "cache",
        "checks",
        "core",
        "cpu",
        "errors",
        "extras",
        "files",
        "machine",
        "progress",
        "rows",
        "seeds",
        "tensors",
        "workers",
    ],
)
