"""Label your own images by hand, batch after batch, in a notebook or a web page.

`store` keeps the labels in a file, `checks` refuses what cannot be labelled, `view` is what the
page shows, and `labeller` leads from one batch to the next.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach(
    __name__,
    ["checks", "labeller", "store", "view"],
    {"labeller": ["Labeller"], "store": ["LabelStore"]},
)
