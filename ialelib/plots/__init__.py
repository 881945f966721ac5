"""The figures of the notebooks, with one colour per strategy throughout.

`style` has the colours and `save`; `panels` what several figures share; every other file has the
figures of one question.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    [
        *("acquisition", "curves", "generalist", "images", "overlap", "panels", "ranks"),
        *("pools", "rehearsal", "run_time", "sizes", "studies", "style", "toy", "training_cost"),
    ],
    {
        "curves": ["aubc_gains", "learning_curves", "policy_training"],
        "ranks": ["critical_differences", "penalty_matrix"],
        "rehearsal": ["rehearsed"],
        "studies": ["filtered_curves", "schedules", "width_gains"],
        "style": ["COLOURS", "NAMES", "save", "styles"],
    },
)
