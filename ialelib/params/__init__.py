"""What each notebook may be told, what it reads and what it writes: one strict class each."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["base", "beyond", "comparing", "cycles", "learning", "own", "types"],
    {
        "base": ["Params"],
        "beyond": ["BeyondThePaper", "FromScratch"],
        "comparing": [
            "ClassCount",
            "ExpertAblation",
            "Exploration",
            "LargerImages",
            "Overlap",
            "Pools",
            "Sizes",
            "Statistics",
            "TrainingCost",
            "TransferClassifiers",
            "TransferDatasets",
        ],
        "learning": ["AlilTraining", "Extend", "PolicyTraining", "RunTime", "ToyGaussians"],
        "own": ["EmbeddingWidths", "Labelling", "OwnPool"],
    },
)
