"""Your own pool: the next batch to label, for any torch classifier."""

from typing import Any

import lazy_loader

_attach: tuple[Any, Any, Any] = lazy_loader.attach(
    __name__,
    submodules=["adapt", "embeddings", "scikit_activeml", "selection"],
    submod_attrs={
        "embeddings": ["extract"],
        "scikit_activeml": ["LearnedPolicy"],
        "selection": ["next_batch"],
    },
)
__getattr__, __dir__, __all__ = _attach
