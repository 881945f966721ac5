"""The experiments of the paper and beyond: paired cycles, and what is measured in them."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    [
        *("alil", "batch_sizes", "frozen", "overlap", "own_pool", "paired", "pools"),
        *("proof", "rehearsal", "run_time", "scratch", "training_cost"),
    ],
    {"paired": ["compare"], "rehearsal": ["Rehearsal", "rehearse"]},
)
