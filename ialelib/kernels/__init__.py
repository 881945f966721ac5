"""How the CNN is trained fast: compiled for the CPU by numba, or stacked on a GPU by torch.

One function leads in: `train` does what `ialelib.training` does by torch alone, up to rounding.
`IALE_KERNELS=off` turns it off. (`stacked.fit_all` is the GPU's way.)
"""

import os
import warnings
from functools import cache
from typing import cast

import numpy as np

from ialelib.models import CNN, Architecture, Classifier
from ialelib.recipes import Recipe, TrainJob
from ialelib.utils.errors import InputError
from ialelib.utils.progress import tell


def train(model: Classifier, job: TrainJob) -> bool:
    """Train `model`, which must be in training mode, as the job says; on the CPU, in float32.

    False, and nothing is done, for all but the CNN on uint8 images of its architecture's shape,
    where `IALE_KERNELS` is off, and where the kernels cannot be compiled.

    Raises:
        InputError: `IALE_KERNELS` is neither on nor off, or images, labels and model do not fit.
    """
    if (switch := os.environ.get("IALE_KERNELS") or "on") not in ("on", "off"):
        raise InputError(f"IALE_KERNELS must be on or off, not {switch!r}")
    images = job.inputs.dtype == np.uint8 and job.inputs.shape[1:] == job.architecture.shape
    # A class derived from it may compute something else.
    if switch == "off" or type(model) is not CNN or not images or not _compiled():
        return False
    _train(model, job)
    return True


@cache
def _compiled() -> bool:
    """Compile all kernels, or load them, by one step on one image; a warning where that fails."""
    image, label = np.zeros((1, 6, 6), np.uint8), np.zeros(1, np.int64)
    job = TrainJob(Architecture("cnn", 1, (6, 6)), image, label, Recipe(steps=1), 0, 0)
    try:
        from ialelib.kernels import jit

        if jit.first():
            tell("Compiling the training of the CNN for this processor, once: half a minute ...")
        _train(cast(CNN, job.fresh()), job)
    except Exception as error:  # the compiler raises many kinds
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        warnings.warn(
            f"the CNN is trained by torch, which is slower, as its kernels fail ({reason}); "
            "IALE_KERNELS=off does so without this warning",
            stacklevel=2,
        )
        return False
    return True


def _train(model: CNN, job: TrainJob) -> None:
    # Numba takes memory and a second, which only this needs.
    from ialelib.kernels import trainer

    trainer.train(model, job)
