"""Your own pool: the next batch to label, for any embeddings or any torch classifier."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["adapt", "backbones", "embedded", "images", "outputs", "scikit_activeml", "selection"],
    {
        "backbones": ["extract", "extract_set"],
        "images": ["images_from"],
        "outputs": ["outputs_of"],
        "scikit_activeml": ["LearnedPolicy"],
        "selection": ["next_batch"],
    },
)
