"""How the generalist is trained: tasks from source data, imitation of the oracle, policy search."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["evolution", "imitation", "tasks"],
    {
        "evolution": ["SearchConfig", "adding_up", "gains_over_random", "search_policy"],
        "tasks": ["Task", "draw", "frozen", "views"],
    },
)
