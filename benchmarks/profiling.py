"""Where the seconds of training go, and how far it is from the machine's matrix products."""

import cProfile
import pstats
import time
from typing import Any

import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from ialelib.dagger import DaggerConfig, roll_out
from ialelib.data import DataSet
from ialelib.models import build, to_float
from ialelib.recipes import TrainJob, has_bfloat16
from ialelib.training import fit
from ialelib.utils.cpu import one_thread

KINDS = {
    "backward.py backward": "convolutions, backward, with pooling and ReLU",
    "forward.py forward": "convolutions, pooling, ReLU and dropout, forward",
    "dense.py dense_backward": "dense layer, backward, with its weights' Adam",
    "dense.py dense": "dense layer, forward",
    "head.py head": "last layer and loss",
    "head.py adam": "Adam of the other weights",
    "models.py lanes": "random bits for dropout",
    "common.py look_up": "images from bytes",
}


def operations(job: TrainJob) -> pd.DataFrame:
    """Share of each kind of work in training one classifier, on one thread."""
    fit(job)
    profiler = cProfile.Profile()
    profiler.runcall(fit, job)
    spent: dict[str, float] = {}
    stats: Any = pstats.Stats(profiler)
    for (file, _, function), (_, _, own, _, _) in stats.stats.items():
        kind = KINDS.get(f"{file.rsplit('/', 1)[-1]} {function}", "everything else")
        spent[kind] = spent.get(kind, 0.0) + own
    table = pd.DataFrame({"part": list(spent), "seconds": list(spent.values())})
    share = table["seconds"] / stats.total_tt
    return table.assign(share=share).sort_values("seconds", ascending=False)


def stages(data: DataSet, config: DaggerConfig) -> pd.DataFrame:
    """Share of each stage of a roll-out, in one process."""
    names = {
        ("training.py", "fit"): "training of classifiers",
        ("dagger.py", "validate"): "scoring on the validation set",
        ("experts.py", "mc_dropout"): "MC-Dropout",
        ("experts.py", "ensemble"): "ensemble: predictions",
        ("experts.py", "coreset"): "CoreSet",
        ("experts.py", "badge"): "BADGE",
    }
    profiler = cProfile.Profile()
    profiler.runcall(roll_out, data, config, 1, None)
    found = {}
    stats: Any = pstats.Stats(profiler)
    total = stats.total_tt
    for (file, _, function), (*_, spent, _) in stats.stats.items():
        key = (file.rsplit("/", 1)[-1], function)
        if "ialelib" in file and key in names:
            found[names[key]] = spent
    found["everything else"] = total - sum(found.values())
    table = pd.DataFrame({"part": list(found), "seconds": list(found.values())})
    return table.assign(share=table["seconds"] / total).sort_values("seconds", ascending=False)


def matrix_products(job: TrainJob) -> pd.DataFrame:
    """Speed of large matrix products and of training in float32, on one thread, in GFLOP/s.

    Products in bfloat16 only where the processor has instructions for them: without, they run
    hundreds of times slower, and nobody would.
    """
    names = {"matrix product, float32": torch.float32}
    if has_bfloat16():
        names["matrix product, bfloat16"] = torch.bfloat16
    with one_thread():
        rows = [{"work": name, "gflops": _product(dtype)} for name, dtype in names.items()]
    started = time.perf_counter()
    fit(job)
    took = time.perf_counter() - started
    steps = job.recipe.length(len(job.labels))
    rows.append({"work": "training of a CNN", "gflops": _flops(job) * steps / took / 1e9})
    table = pd.DataFrame(rows)
    for name, dtype in names.items():
        of_product = table.loc[table["work"] == name, "gflops"].item()
        table[f"share of {str(dtype).removeprefix('torch.')}"] = table["gflops"] / of_product
    return table


def _product(dtype: torch.dtype, size: int = 2048, repeats: int = 8) -> float:
    a, b = torch.randn(2, size, size).to(dtype)
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        torch.mm(a, b)
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best / 1e9


def _flops(job: TrainJob) -> float:
    """Floating-point operations of one average training step, forward and backward.

    As torch's operators would do them: those that our kernels leave out count as done.
    """
    samples, batch = len(job.labels), job.recipe.batch_size
    model = build(job.architecture, 0).train().to("meta")
    with FlopCounterMode(display=False) as counter:
        model(to_float(torch.from_numpy(job.inputs[:batch]).to("meta")))[0].sum().backward()
    return counter.get_total_flops() * samples / batch / -(-samples // batch)
