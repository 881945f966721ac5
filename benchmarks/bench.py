"""Speed and memory as ratios against plain references, all in one run.

    python benchmarks/bench.py [--acq 10] [SECTION ...]

Writes benchmarks/speed.csv and benchmarks/speed.md. Sections: classifier, processes, episode,
selection, scaling, memory, profile; all of them take about an hour on two cores, most of it the
reference's episode. Nothing else should run meanwhile.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import date
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pandas as pd
import profiling
import reference
import scaling
import selection
import torch
from joblib import Parallel, delayed

from ialelib import data
from ialelib.cycle import CycleConfig
from ialelib.dagger import DaggerConfig, roll_out
from ialelib.data import DataSet
from ialelib.models import Architecture
from ialelib.recipes import RECIPES, TrainJob
from ialelib.training import fit_many
from ialelib.utils.machine import machine

HERE = Path(__file__).parent
Row = dict[str, Any]


def seconds(function: Callable[[], object]) -> float:
    """Wall clock of one call."""
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


def in_parallel(function: Callable[..., object], calls: Sequence[tuple[Any, ...]]) -> None:
    """Make the calls at once, one process for each."""
    Parallel(len(calls))(delayed(function)(*arguments) for arguments in calls)


def row(work: str, bar: str, ours: float, theirs: float, unit: str = "s", note: str = "") -> Row:
    """One line of the table; the ratio is how many times less ours is."""
    numbers = {"reference": theirs, "ours": ours, "ratio": theirs / ours}
    return {"work": work, "bar": bar, **numbers, "unit": unit, "note": note}


def jobs(images: DataSet, count: int) -> list[TrainJob]:
    """CNNs on different 500 labels, by the paper's recipe."""
    architecture = Architecture("cnn", images.classes, images.shape)
    return [
        TrainJob(
            architecture,
            images.train_inputs[i * 500 : i * 500 + 500],
            images.train_labels[i * 500 : i * 500 + 500],
            RECIPES["paper"],
            weights=i,
            seed=i,
        )
        for i in range(count)
    ]


def classifier(images: DataSet, acq: int) -> Iterator[Row]:
    """One classifier: reference with both threads, ours as one of two on two processes."""
    some = jobs(images, 4)
    fit_many(some[:2], processes=2)
    ratios = []
    for job in some[:3]:
        plain = partial(reference.fit, job.inputs, job.labels, images.classes, 100, 0)
        ours = partial(fit_many, some, processes=2)
        ratios.append((seconds(plain), seconds(ours) / len(some)))
    theirs, ours = (statistics.median(times) for times in zip(*ratios, strict=True))
    note = "paper recipe; ours: throughput of two processes; median of 3"
    yield row("one classifier, CNN, 500 labels", ">= 5", ours, theirs, note=note)


def processes(images: DataSet, acq: int) -> Iterator[Row]:
    """The same classifiers in one process and in two."""
    some = jobs(images, 4)
    fit_many(some[:2], processes=2)
    # Not in this process: training changes how it keeps memory, from which the reference gains.
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        alone.submit(fit_many, some[:1]).result()
        pairs = [
            (
                seconds(lambda: alone.submit(fit_many, some).result()),
                seconds(lambda: fit_many(some, processes=2)),
            )
            for _ in range(5)
        ]
    one, two = (statistics.median(times) for times in zip(*pairs, strict=True))
    note = "4 classifiers, 500 labels; median of 5"
    yield row("two processes against one", ">= 1.8", two, one, note=note)


def episode(images: DataSet, acq: int) -> Iterator[Row]:
    """One DAgger episode: the reference, ours by the paper's recipe, ours in the cheap way."""
    work = f"one DAgger episode, MNIST, six experts, {280 // acq} acquisitions"
    same = DaggerConfig(CycleConfig(budget=300, acq=acq, recipe="paper"), validation=1000)
    cheap = DaggerConfig(
        CycleConfig(budget=300, acq=acq, recipe="fast"), validation=1000, ranking="warm"
    )
    plain = reference.Setting(budget=300, acq=acq, validation=1000)
    theirs = seconds(lambda: reference.episode(images, plain, seed=1))
    ours = seconds(lambda: roll_out(images, same, 1, None, processes=2))
    both = [(images, cheap, number, None) for number in (1, 2)]
    quick = seconds(lambda: in_parallel(roll_out, both)) / len(both)
    note = "the paper's recipe on both sides; the reference also tests every temporary classifier"
    yield row(work, ">= 8", ours, theirs, note=note)
    note = "reference: as above; ours: fast recipe, warm ranking, two roll-outs at once"
    yield row(f"{work}, the cheap way", ">= 30", quick, theirs, note=note)


def batches(images: DataSet, acq: int) -> Iterator[Row]:
    """BADGE and CoreSet on 50,000 x 128 against scikit-activeml and a textbook version."""
    size = f"50,000 x 128, choose {selection.ACQ:,}"
    badge, coreset = selection.badge_ratio(), selection.coreset_ratio()
    for unit, bar in (("seconds", ">= 10"), ("mb", ">= 5")):
        ours, theirs = badge[f"badge_ours_{unit}"], badge[f"badge_skactiveml_{unit}"]
        note = "10 classes; against scikit-activeml" + (", peak above the inputs" * (unit == "mb"))
        yield row(f"BADGE, {size}", bar, ours, theirs, "MB" if unit == "mb" else "s", note)
    for name, note in (
        ("plain", "a textbook version, same indices"),
        ("skactiveml", "scikit-activeml"),
    ):
        ours, theirs = coreset["coreset_ours_seconds"], coreset[f"coreset_{name}_seconds"]
        yield row(f"CoreSet, {size}, 1,000 labelled", ">= 3", ours, theirs, note=f"against {note}")


def memory(images: DataSet, acq: int) -> Iterator[Row]:
    """Peak resident memory of full MNIST cycles, each in a process of its own."""
    for name in ("policy", "ensemble"):
        took, peak = scaling.measured("cycle", name)
        yield {
            "work": f"full MNIST cycle, B = 300, {name}",
            "bar": "<= 900",
            "ours": peak,
            "unit": "MB",
            "note": f"peak resident memory with all imports; {took:.0f} s",
        }


SECTIONS: dict[str, Callable[[DataSet, int], Iterator[Row]]] = {
    "classifier": classifier,
    "processes": processes,
    "selection": batches,
    "scaling": lambda images, acq: scaling.rows(),
    "memory": memory,
    "episode": episode,
}


def write(rows: list[Row]) -> None:
    """The table as CSV, and as Markdown with the machine's name."""
    table = pd.DataFrame(
        rows, columns=["work", "reference", "ours", "unit", "ratio", "bar", "note"]
    )
    table.to_csv(HERE / "speed.csv", index=False)
    lines = [" | ".join(table.columns), " | ".join("---" for _ in table.columns)]
    for values in table.itertuples(index=False):
        lines.append(" | ".join(_cell(value) for value in values))
    head = f"Measured by `make bench` on {machine()}, torch {torch.__version__}, {date.today()}."
    (HERE / "speed.md").write_text(head + "\n\n" + "\n".join(f"| {x} |" for x in lines) + "\n")


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
    return str(value)


def write_profile(images: DataSet) -> None:
    """Where the seconds go, beside the table."""
    (job,) = jobs(images, 1)
    cheap = DaggerConfig(CycleConfig(budget=300, acq=40), validation=1000, ranking="warm")
    parts = {
        "One classifier, 500 labels, paper recipe, by kind of operation": profiling.operations(job),
        "One roll-out, fast recipe, warm ranking, by stage": profiling.stages(images, cheap),
        "Distance to matrix products, one thread": profiling.matrix_products(job),
    }
    text = [
        f"{title}\n\n{part.round(3).to_markdown(index=False)}\n" for title, part in parts.items()
    ]
    (HERE / "profile.md").write_text("\n".join([f"Measured on {machine()}.\n", *text]))


def main() -> None:
    """Run the sections asked for, all by default; the table is rewritten after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sections", nargs="*", choices=[*SECTIONS, "profile", []])
    parser.add_argument("--acq", type=int, default=10, help="acquisition size of the episodes")
    asked = parser.parse_args()
    images = data.load_data("mnist")
    wanted = asked.sections or [*SECTIONS, "profile"]
    rows: list[Row] = []
    for name in wanted:
        if name == "profile":
            write_profile(images)
            continue
        for line in SECTIONS[name](images, asked.acq):
            print(line, flush=True)
            rows.append(line)
        write(rows)


if __name__ == "__main__":
    main()
