"""Figure 1 to play with: two strategies choose among the points of two Gaussians, step by step.

`session` has what both sides share and show, `figure` the Plotly figure, `widget` the controls.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    ["figure", "session", "widget"],
    {"session": ["Demo"], "widget": ["ToyDemo", "toy_demo"]},
)
