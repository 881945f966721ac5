"""The experiments of the paper and beyond: paired cycles, and what is measured in them."""

from typing import Any

import lazy_loader

_attach: tuple[Any, Any, Any] = lazy_loader.attach(
    __name__,
    submodules=[
        *("alil", "batch_sizes", "overlap", "own_pool", "paired", "run_time", "training_cost"),
    ],
    submod_attrs={"paired": ["compare"]},
)
__getattr__, __dir__, __all__ = _attach
