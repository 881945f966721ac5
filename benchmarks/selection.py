"""BADGE and CoreSet on a pool of 50,000 samples: seconds and memory, ours against others'.

    python benchmarks/selection.py

Each side chooses 1,000 samples from the same arrays in a fresh process with the default number of
threads. Memory is the peak above what the process held with the arrays loaded. Needs
scikit-activeml beside the project's own packages.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import Tensor

from ialelib.experts import residuals
from ialelib.greedy import k_centre, k_means_pp

SAMPLES, LABELLED, ACQ = 50_000, 1_000, 1_000
DIMENSIONS, CLASSES, FACTORS = 128, 10, 16
WARM_UP = 60

Arrays = dict[str, np.ndarray]
Numbers = dict[str, float]


def pool(seed: int = 0) -> Arrays:
    """Arrays that look like a trained classifier's, float32, the same for the same seed.

    `embedding` (50,000 x 128) and `labelled` (1,000 x 128): one cluster a class, spread along 16
    directions of its own, after ReLU. `probs` (50,000 x 10): softmax of a random linear head.
    """
    rng = np.random.default_rng(seed)
    class_N = rng.integers(CLASSES, size=SAMPLES + LABELLED)
    embedding_N_D = 0.2 * rng.normal(size=(len(class_N), DIMENSIONS))
    for c in range(CLASSES):
        rows = class_N == c
        directions_F_D = rng.normal(size=(FACTORS, DIMENSIONS)) / np.sqrt(FACTORS)
        embedding_N_D[rows] += rng.normal(size=(rows.sum(), FACTORS)) @ directions_F_D
        embedding_N_D[rows] += 1.5 * rng.normal(size=DIMENSIONS)
    embedding_N_D = np.maximum(embedding_N_D, 0).astype(np.float32)
    head_D_C = rng.normal(size=(DIMENSIONS, CLASSES)) / 8
    logits_N_C = torch.from_numpy(embedding_N_D[:SAMPLES] @ head_D_C.astype(np.float32))
    return {
        "embedding": embedding_N_D[:SAMPLES],
        "labelled": embedding_N_D[SAMPLES:],
        "probs": logits_N_C.softmax(1).numpy(),
    }


def badge_ours(arrays: Arrays, acq: int) -> list[int]:
    """ialelib's BADGE."""
    residual_N_C = residuals(torch.from_numpy(arrays["probs"]))
    return k_means_pp(residual_N_C, arrays["embedding"], acq, np.random.default_rng(0)).tolist()


def badge_skactiveml(arrays: Arrays, acq: int) -> list[int]:
    """scikit-activeml's BADGE, given the probabilities and embeddings by a classifier."""
    answer = arrays["probs"], arrays["embedding"]
    methods = {"fit": lambda self, *_: self, "predict_proba": lambda *_: answer}
    classifier = type("Known", (import_module("skactiveml.base").SkactivemlClassifier,), methods)
    missing_N, index_N_1 = np.full(len(answer[0]), np.nan), np.arange(len(answer[0]))[:, None]
    badge = import_module("skactiveml.pool").Badge(random_state=0)
    known = classifier(classes=range(CLASSES))
    chosen = badge.query(index_N_1, missing_N, known, fit_clf=False, batch_size=acq)
    return [int(i) for i in chosen]


def coreset_ours(arrays: Arrays, acq: int) -> list[int]:
    """ialelib's CoreSet."""
    rng = np.random.default_rng(0)
    return k_centre(arrays["embedding"], arrays["labelled"], acq, rng).tolist()


def coreset_plain(arrays: Arrays, acq: int) -> list[int]:
    """Textbook greedy k-centre: every choice updates the distances of all samples.

    Samples equally far in float32 do occur; one of them is drawn, as `k_centre` does it.
    """
    rng = np.random.default_rng(0)
    embedding_N_D, labelled_L_D = map(torch.from_numpy, (arrays["embedding"], arrays["labelled"]))
    nearest_N = torch.full((len(embedding_N_D),), torch.inf)
    for centres_K_D in labelled_L_D.split(100):
        nearest_N = torch.minimum(nearest_N, distances(embedding_N_D, centres_K_D).amin(1))
    chosen: list[int] = []
    for _ in range(acq):
        tied = np.flatnonzero(nearest_N == nearest_N.max())
        chosen.append(int(tied[rng.integers(len(tied))]))
        centre_1_D = embedding_N_D[chosen[-1:]]
        nearest_N = torch.minimum(nearest_N, distances(embedding_N_D, centre_1_D)[:, 0])
    return chosen


def distances(a_N_D: Tensor, b_K_D: Tensor) -> Tensor:
    """Euclidean distances by differences, N x K."""
    return torch.cdist(a_N_D, b_K_D, compute_mode="donot_use_mm_for_euclid_dist")


def coreset_skactiveml(arrays: Arrays, acq: int) -> list[int]:
    """scikit-activeml's CoreSet; its distances come from a matrix product."""
    both_M_D = np.concatenate([arrays["embedding"], arrays["labelled"]])
    label_M = np.zeros(len(both_M_D))
    label_M[: len(arrays["embedding"])] = np.nan
    coreset = import_module("skactiveml.pool").CoreSet(random_state=0)
    return [int(i) for i in coreset.query(both_M_D, label_M, batch_size=acq)]


Side = Callable[[Arrays, int], list[int]]
SIDES: dict[str, Side] = {
    side.__name__: side
    for side in (badge_ours, badge_skactiveml, coreset_ours, coreset_plain, coreset_skactiveml)
}


def peak_mb() -> float:
    """Largest resident memory of this process so far, in MB (Linux).

    Not `getrusage`: a new process's `ru_maxrss` starts at its parent's.
    """
    return status_mb("VmHWM")


def status_mb(field: str) -> float:
    """A memory size that Linux knows of this process, in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split(f"{field}:")[1].split()[0]) / 1024


def run_side(name: str, folder: Path) -> None:
    """Measure one side in this process; print a line of JSON."""
    arrays = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    SIDES[name]({key: rows[:WARM_UP] for key, rows in arrays.items()}, WARM_UP // 2)
    before, started = status_mb("VmRSS"), time.perf_counter()
    chosen = SIDES[name](arrays, ACQ)
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "mb": peak_mb() - before, "chosen": chosen}))


def measure(names: list[str]) -> tuple[Numbers, dict[str, list[int]]]:
    """Seconds and MB of each side, and what it chose, each in a process of its own."""
    numbers: Numbers = {"samples": SAMPLES, "acquisition_size": ACQ}
    chosen = {}
    with TemporaryDirectory() as folder:
        for key, rows in pool().items():
            np.save(Path(folder, f"{key}.npy"), rows)
        for name in names:
            command = [sys.executable, __file__, name, folder]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            result = json.loads(output.splitlines()[-1])
            chosen[name] = result["chosen"]
            numbers |= {f"{name}_{unit}": result[unit] for unit in ("seconds", "mb")}
    return numbers, chosen


def compare(ours: str, others: list[str]) -> tuple[Numbers, dict[str, list[int]]]:
    """`measure`, and how many times our seconds and MB each of the others takes."""
    numbers, chosen = measure([ours, *others])
    for other in others:
        for unit in ("seconds", "mb"):
            numbers[f"{other}_{unit}_ratio"] = (
                numbers[f"{other}_{unit}"] / numbers[f"{ours}_{unit}"]
            )
    return numbers, chosen


def badge_ratio() -> Numbers:
    """BADGE: ours against scikit-activeml's, 10 classes."""
    return compare("badge_ours", ["badge_skactiveml"])[0]


def coreset_ratio() -> Numbers:
    """CoreSet with 1,000 labelled: ours against the textbook's and scikit-activeml's.

    The textbook's choice and ours must be the same samples in the same order.
    """
    numbers, chosen = compare("coreset_ours", ["coreset_plain", "coreset_skactiveml"])
    assert chosen["coreset_ours"] == chosen["coreset_plain"]
    return numbers


def main() -> None:
    """Measure one side if named, else all."""
    if len(sys.argv) == 3:
        run_side(sys.argv[1], Path(sys.argv[2]))
        return
    print(f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS')}, {os.cpu_count()} cores")
    for row in (badge_ratio(), coreset_ratio()):
        print(json.dumps(row, indent=1))


if __name__ == "__main__":
    main()
