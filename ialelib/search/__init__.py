"""How the generalist is trained: tasks from source data, imitation of the oracle, policy search."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["averaging", "evolution", "imitation", "stages", "tasks"],
    {
        "averaging": ["compare_passes"],
        "evolution": ["SearchConfig", "gains_over_random", "search_policy"],
        "imitation": ["ImitationConfig", "imitate"],
        "stages": ["train_generalist"],
        "tasks": ["Source", "Task", "draw", "frozen", "views"],
    },
)
