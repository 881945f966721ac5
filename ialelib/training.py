"""Training of classifiers, one or many, and prediction in bounded memory."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from joblib import delayed
from torch import Tensor

from ialelib import kernels, probe
from ialelib.kernels import stacked
from ialelib.models import Classifier, build, given_masks, to_float
from ialelib.recipes import Recipe, TrainJob, autocast, batches, number_type
from ialelib.utils.adam import Adam
from ialelib.utils.cpu import float32_on_cpu, keep_memory, learning, one_thread
from ialelib.utils.machine import device
from ialelib.utils.seeds import derive, seeded
from ialelib.utils.workers import parallel

KEPT = 10_000_000  # a CNN has 4,608 features for an image of 28x28 pixels
STACKED = 50_000_000
"""Values in the embeddings of all probes that are trained at once."""


@float32_on_cpu()
def fit(job: TrainJob) -> Classifier:
    """Train one classifier on the CPU (Alg. 1, `initAndTrain`), in evaluation mode after.

    The same job gives the same weights, bit for bit, regardless of what ran before.

    Raises:
        InputError: no labelled samples.
    """
    keep_memory()
    if job.architecture.name == "probe":
        return _fit_probes([job])[0]
    with learning():
        model = job.fresh().to(memory_format=torch.channels_last)
    with one_thread():
        if not kernels.train(model, job):
            # Own classifiers may have `nn.Dropout`.
            with seeded(derive(job.seed, "own dropout")), learning():
                _fit_torch(model, job)
    return model.eval()


def _fit_probes(jobs: Sequence[TrainJob]) -> list[Classifier]:
    """Train probes whose labelled sets are of one size, all at once."""
    models = [job.fresh() for job in jobs]
    inputs_M_L_D = to_float(torch.from_numpy(np.stack([job.inputs for job in jobs]))).flatten(2)
    labels_M_L = torch.from_numpy(np.stack([job.labels for job in jobs]))
    heads = probe.solve(inputs_M_L_D, labels_M_L, jobs[0].architecture.classes)
    for model, weight_C_D, bias_C in zip(models, *heads, strict=True):
        model.head.weight.data, model.head.bias.data = weight_C_D, bias_C
    return [model.eval() for model in models]


def _fit_torch(model: Classifier, job: TrainJob) -> None:
    """Adam on softmax cross-entropy, one batch a step: what `kernels.train` computes, too.

    In the recipe's precision, where the kernels compute in float32.
    """
    inputs, labels = torch.tensor(job.inputs), torch.tensor(job.labels)
    recipe, steps = job.recipe, job.recipe.length(len(labels))
    dtype, precision = number_type(recipe), autocast(recipe)
    optimiser = Adam(model.parameters(), recipe.lr)
    order, noise = job.generators(torch.device("cpu"))
    for step, batch in enumerate(batches(len(labels), recipe.batch_size, steps, order)):
        masks = [drop.mask(len(batch), dtype, noise) for drop in model.drops]
        with precision, given_masks(model.drops, masks):
            logits_B_C, _ = model(to_float(inputs[batch]))
        loss = F.cross_entropy(logits_B_C.float(), labels[batch])
        loss.backward()
        optimiser.step(recipe.rate(step, steps))


@float32_on_cpu()
def fit_many(jobs: Sequence[TrainJob], processes: int = 1) -> list[Classifier]:
    """Train independent classifiers, in order; on the CPU with the same results as `fit`.

    On the CPU each process trains one at a time. On a GPU (`device`) those with the same number
    of labels train as one stack, in this process. So do probes anywhere, which then equal those of
    `fit` up to `probe.TOLERANCE` only.
    """
    if _like_probes(jobs):
        step = max(1, STACKED // max(1, jobs[0].inputs.size))
        stacks = [jobs[start : start + step] for start in range(0, len(jobs), step)]
        return [model for stack in stacks for model in _fit_probes(stack)]
    if device() == "cuda":
        return stacked.fit_all(jobs, "cuda")
    if processes == 1 or len(jobs) == 1:
        return [fit(job) for job in jobs]
    states = parallel(processes)(delayed(_fit_state)(job) for job in jobs)
    models = []
    for job, state in zip(jobs, states, strict=True):
        model = build(job.architecture, job.weights)
        model.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        models.append(model.to(memory_format=torch.channels_last).eval())
    return models


def _like_probes(jobs: Sequence[TrainJob]) -> bool:
    """Whether all are probes with labelled sets of one size."""
    kinds = {(job.architecture.name, job.inputs.shape) for job in jobs}
    return len(kinds) == 1 and jobs[0].architecture.name == "probe"


def _fit_state(job: TrainJob) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in fit(job).state_dict().items()}


@torch.inference_mode()
def predict(
    model: Classifier, inputs: np.ndarray, batch: int = 128, recipe: Recipe | None = None
) -> tuple[Tensor, Tensor]:
    """Logits (N, C) and embeddings (N, D), float32, `batch` inputs at a time.

    Computes in float32 unless a recipe asks for bfloat16. The model's mode is kept: in training
    mode dropout is active, as MC-Dropout needs it.
    """
    recipe, where = recipe or Recipe(steps=1), model.head.weight.device.type
    # In one tensor each: small results of every batch, left between the large ones of the next,
    # would keep hundreds of megabytes from being used again.
    logits_N_C = torch.empty(len(inputs), model.head.out_features)
    embedding_N_D = torch.empty(len(inputs), model.head.in_features)
    with one_thread(), autocast(recipe, where):
        for start in range(0, len(inputs), batch):
            rows = slice(start, start + batch)
            logits, embedding = model(to_float(torch.tensor(inputs[rows]).to(where)))
            logits_N_C[rows], embedding_N_D[rows] = logits, embedding
    return logits_N_C, embedding_N_D


@torch.inference_mode()
def predict_often(
    model: Classifier, inputs: np.ndarray, passes: int, batch: int = 128
) -> list[Tensor]:
    """Logits (N, C) of several passes: what as many calls of `predict` give, one after the other.

    With dropout active they differ. What comes before it is computed once, and kept if it is no
    more than `KEPT` values.
    """
    where = model.head.weight.device.type
    parts = [inputs[start : start + batch] for start in range(0, max(len(inputs), 1), batch)]
    with one_thread():
        first = model.features(to_float(torch.tensor(parts[0]).to(where)))
        if first[:1].numel() * len(inputs) > KEPT:
            return [predict(model, inputs, batch)[0] for _ in range(passes)]
        others = [model.features(to_float(torch.tensor(part).to(where))) for part in parts[1:]]
        features = [first, *others]
        return [
            torch.cat([model.predict_features(part)[0] for part in features]).cpu()
            for _ in range(passes)
        ]


def correct_mask(
    model: Classifier, inputs: np.ndarray, labels: np.ndarray, recipe: Recipe
) -> np.ndarray:
    """Which inputs the classifier gets right, N booleans; their mean is the accuracy."""
    logits_N_C, _ = predict(model, inputs, recipe=recipe)
    return logits_N_C.argmax(1).numpy() == labels


def with_members(job: TrainJob, seeds: Sequence[int]) -> list[TrainJob]:
    """The same training set from other initial weights and batch orders (ensemble members)."""
    return [replace(job, weights=seed, seed=seed) for seed in seeds]
