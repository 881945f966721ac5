"""What each notebook may be told, what it reads and what it writes: one strict class each."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    ["base", "beyond", "notebooks", "types"],
    {
        "base": ["Params"],
        "beyond": ["BeyondThePaper", "FromScratch"],
        "notebooks": [
            "AlilTraining",
            "ClassCount",
            "EmbeddingWidths",
            "ExpertAblation",
            "Exploration",
            "Extend",
            "Labelling",
            "LargerImages",
            "Overlap",
            "OwnPool",
            "PolicyTraining",
            "RunTime",
            "Sizes",
            "Statistics",
            "ToyGaussians",
            "TrainingCost",
            "TransferClassifiers",
            "TransferDatasets",
        ],
    },
)
