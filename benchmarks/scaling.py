"""Time and peak memory of one task in a process of its own.

    python benchmarks/scaling.py policy 1000000    # choose 100 of that many candidates on disk
    python benchmarks/scaling.py generalist 1000000
    python benchmarks/scaling.py cycle ensemble    # a whole cycle on MNIST, B = 300

prints seconds and the peak of resident memory in MB.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from selection import peak_mb

from ialelib import cycle, data, inference, policy, state
from ialelib.policy import GENERALIST

POLICY = "mnist-cnn"
SIZES = (125_000, 250_000, 500_000, 1_000_000)
Row = dict[str, str | float]


def measured(*arguments: str) -> tuple[float, float]:
    """Seconds and peak MB of one task."""
    command = [sys.executable, __file__, *arguments]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds, peak = map(float, out.split())
    return seconds, peak


def rows() -> Iterator[Row]:
    """The table's rows on selection from candidates on disk by a policy and by the generalist."""
    times = []
    for size in SIZES:
        took, peak = measured("policy", str(size))
        times.append(took)
        yield {
            "work": f"policy chooses 100 of {size:,} candidates on disk",
            "bar": "< 1500 MB" if size == SIZES[-1] else "",
            "ours": peak,
            "unit": "MB",
            "note": f"peak resident memory; {took:.1f} s, {took / size * 1e6:.2f} us a candidate",
        }
    yield {
        "work": "growth of these times, exponent of the pool's size",
        "bar": "linear",
        "ours": float(np.polyfit(np.log(SIZES), np.log(times), 1)[0]),
        "unit": "",
        "note": "slope of log seconds over log candidates",
    }
    took, peak = measured(GENERALIST, str(SIZES[-1]))
    yield {
        "work": f"generalist chooses 100 of {SIZES[-1]:,} candidates on disk",
        "bar": "< 1500 MB",
        "ours": peak,
        "unit": "MB",
        "note": f"peak resident memory; {took:.1f} s, {took / times[-1]:.2f} of the policy's time",
    }


def files(folder: Path, size: int) -> tuple[Path, Path]:
    """Embeddings (N x 128) and logits (N x 10) of made-up candidates, written piece by piece."""
    rng = np.random.default_rng(0)
    head = rng.standard_normal((128, 10), dtype=np.float32) / 4
    paths = folder / "embedding.npy", folder / "logits.npy"
    embedding, logits = (
        np.lib.format.open_memmap(path, "w+", np.float32, (size, width))
        for path, width in zip(paths, (128, 10), strict=True)
    )
    for start in range(0, size, 50_000):
        piece = np.maximum(0, rng.standard_normal((min(50_000, size - start), 128), np.float32))
        embedding[start : start + len(piece)] = piece
        logits[start : start + len(piece)] = piece @ head
    return paths


def choose(task: str, folder: Path) -> None:
    """One call of a shipped policy, or of the generalist, on mapped files."""
    embedding, logits = (
        np.load(folder / f"{n}.npy", mmap_mode="r") for n in ("embedding", "logits")
    )
    labels = np.array(logits[:100]).argmax(1)
    if task == GENERALIST:
        given = {"embeddings": embedding, "logits": logits}
        batch = inference.next_batch(labelled=range(100), labels=labels, acq=100, **given)
    else:
        known = [torch.from_numpy(np.array(rows[:100])) for rows in (logits, embedding)]
        seen = state.describe(logits, embedding, known[0], known[1], torch.from_numpy(labels))
        batch = policy.load_network(POLICY).choose(seen, acq=100)
    assert len(set(batch.tolist())) == 100


def run_cycle(name: str) -> None:
    """One cycle on all of MNIST."""
    config = cycle.CycleConfig(budget=300)
    cycle.run_cycle(
        data.load_data("mnist"), config, name, 0, {"policy": policy.load_network(POLICY)}
    )


def main(task: str, argument: str) -> None:
    """Run one task and print its seconds and peak memory."""
    with tempfile.TemporaryDirectory() as name:
        if task in ("policy", GENERALIST):
            # The files are made in another process: writing them counts as memory, too.
            subprocess.run([sys.executable, __file__, "files", f"{name}:{argument}"], check=True)
        if task == "files":
            folder, size = argument.rsplit(":", 1)
            files(Path(folder), int(size))
            return
        started = time.perf_counter()
        if task in ("policy", GENERALIST):
            choose(task, Path(name))
        else:
            run_cycle(argument)
        took = time.perf_counter() - started
    print(took, peak_mb())


if __name__ == "__main__":
    main(*sys.argv[1:])
