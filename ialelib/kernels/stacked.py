"""Training of several classifiers as one stacked model: the GPU's way (`torch.func`)."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from ialelib.models import Classifier, given_masks, to_float
from ialelib.recipes import TrainJob, autocast, batches, number_type
from ialelib.utils.adam import Adam
from ialelib.utils.cpu import keep_memory, one_thread


def fit_all(jobs: Sequence[TrainJob], device: str) -> list[Classifier]:
    """Train jobs of any kind, those that fit together as one stack; results in order."""
    groups: dict[Any, list[int]] = {}
    for i, job in enumerate(jobs):
        groups.setdefault((job.architecture, job.recipe, len(job.labels)), []).append(i)
    found: dict[int, Classifier] = {}
    for members in groups.values():
        models = fit_stack([jobs[i] for i in members], device)
        found |= dict(zip(members, models, strict=True))
    return [found[i] for i in range(len(jobs))]


@one_thread()
def fit_stack(jobs: Sequence[TrainJob], device: str) -> list[Classifier]:
    """Train M jobs of one architecture, recipe and number of labels, in M-fold operations.

    Every classifier has the batches and dropout masks that it would have alone, so on the CPU it
    equals `training.fit` up to rounding (of what each computes in: with precision "auto" a stack of
    CNNs may in bfloat16); on a GPU the dropout masks are the GPU's own.
    """
    keep_memory()
    models = [job.fresh().to(device) for job in jobs]
    recipe, steps = jobs[0].recipe, jobs[0].recipe.length(len(jobs[0].labels))
    parameters, buffers = stack_module_state(list(models))
    inputs_M_L = torch.from_numpy(np.stack([job.inputs for job in jobs])).to(device)
    labels_M_L = torch.from_numpy(np.stack([job.labels for job in jobs])).to(device)
    model_M_1 = torch.arange(len(jobs), device=device)[:, None]
    optimiser = Adam(parameters.values(), recipe.lr)

    def loss(weights: Any, state: Any, inputs_B: Tensor, labels_B: Tensor, masks: Any) -> Tensor:
        with given_masks(models[0].drops, masks):
            logits_B_C, _ = functional_call(models[0], (weights, state), (inputs_B,))
        return F.cross_entropy(logits_B_C.float(), labels_B)

    for step, (batch_M_B, masks) in enumerate(_draws(jobs, models[0], steps, device)):
        at = model_M_1, batch_M_B.to(device)
        inputs_M_B = to_float(inputs_M_L[at].flatten(0, 1)).unflatten(0, batch_M_B.shape)
        with autocast(recipe, device):
            losses_M = vmap(loss)(parameters, buffers, inputs_M_B, labels_M_L[at], masks)
        losses_M.sum().backward()
        optimiser.step(recipe.rate(step, steps))
    for m, model in enumerate(models):
        model.load_state_dict({k: v[m].detach() for k, v in (parameters | buffers).items()})
    return [model.eval() for model in models]


def _draws(
    jobs: Sequence[TrainJob], model: Classifier, steps: int, device: str
) -> Iterator[tuple[Tensor, list[Tensor]]]:
    """For every step the batches' positions, M x B, and each dropout's masks, M x B x features."""
    recipe, samples = jobs[0].recipe, len(jobs[0].labels)
    generators = [job.generators(torch.device(device)) for job in jobs]
    orders = [batches(samples, recipe.batch_size, steps, order) for order, _ in generators]
    drops, dtype = model.drops, number_type(recipe, device)
    for batch in zip(*orders, strict=True):
        masks = [
            torch.stack([drop.mask(len(batch[0]), dtype, noise) for _, noise in generators])
            for drop in drops
        ]
        yield torch.stack(batch), masks
