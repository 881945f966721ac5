"""What Snakemake says of a batch, as lines for a person: each notebook, its time, its error."""

import csv
import logging
import re
import threading
import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

import nbformat
from snakemake_interface_logger_plugins.common import LogEvent
from tqdm import tqdm

from ialelib.runner.screen import Screen
from ialelib.utils.files import project

ARROW = re.compile(r"^-+> *(\d+) (.*)", re.MULTILINE)
COLOURS = re.compile(r"\x1b\[[\d;]*m")


@dataclass(frozen=True)
class Run:
    """A notebook at work: which one of the batch it is, and since when."""

    stem: str
    number: int
    began: float


class Follower:
    """Shows how a batch goes: lines that stay for what has ended, live ones for what runs."""

    def __init__(self, screen: Screen, runs: Path, stems: Collection[str]) -> None:
        self.screen, self.runs, self.stems = screen, runs, stems
        self.up_to_date = self.stopped = False
        self.jobs = 0
        self.todo: list[str] = []
        self.done: dict[str, float] = {}
        self.failed: list[str] = []
        self._running: dict[int, Run] = {}
        self._expected: dict[str, float] = {}
        self._since = time.monotonic()
        self._lock = threading.RLock()

    def hear(self, record: logging.LogRecord) -> bool:
        """Follow an event of Snakemake's; as a filter of its logger, which lets all of them pass.

        Snakemake takes handlers of its events from installed packages of their own only.
        """
        event, said = getattr(record, "event", None), vars(record)
        with self._lock:
            if event == LogEvent.WORKFLOW_STARTED:
                self.up_to_date = True
            elif event == LogEvent.RUN_INFO:
                self.up_to_date = False
                self.todo = [name for name in said["stats"] if name in self.stems]
                self._expected = expected(self.runs, self.todo)
                self._since = time.monotonic()
            elif event == LogEvent.JOB_STARTED:  # unlike the others not in a dry run
                self.jobs += len(said["jobs"])
            elif event == LogEvent.JOB_INFO and self.jobs and said["rule_name"] in self.todo:
                self._begin(said["jobid"], said["rule_name"])
            elif event == LogEvent.JOB_FINISHED and said["job_id"] in self._running:
                run = self._running.pop(said["job_id"])
                self.done[run.stem] = time.monotonic() - run.began
                self._say(run, _time(self.done[run.stem]))
            elif event == LogEvent.JOB_ERROR and not self.stopped:
                self._fail(said["jobid"], said["rule_name"])
        return True

    def _begin(self, job: int, stem: str) -> None:
        number = len(self._running) + len(self.done) + len(self.failed) + 1
        self._running[job] = run = Run(stem, number, time.monotonic())
        if self.screen.live:
            self.draw()
        else:
            self._say(run, "started")

    def _fail(self, job: int, name: str) -> None:
        self.failed.append(name)
        if run := self._running.pop(job, None):
            log = self.runs / "logs" / f"{name}.ipynb"
            lines = [f"failed after {_time(time.monotonic() - run.began)}", *fault(log)]
            self._say(run, "\n    ".join([*lines, f"see {log}"]))
        else:
            self.screen.say(f"{name} failed, at the end of {self.runs / 'batch.log'}")

    def _say(self, run: Run, text: str) -> None:
        self.screen.say(self._line(run, text))
        self.draw()

    def _line(self, run: Run, text: str) -> str:
        number = f"{run.number:>{len(str(len(self.todo)))}} of {len(self.todo)}"
        return f"{number}  {run.stem:<{max(map(len, self.todo))}}  {text}"

    def draw(self) -> None:
        """Show what runs, for how long, and how much time is left as far as that is known."""
        with self._lock:
            now = time.monotonic()
            lines = []
            for run in self._running.values():
                spent = now - run.began
                left = self._expected.get(run.stem, 0) - spent
                lines.append(self._line(run, _time(spent, left)))
            if lines and len(self.todo) > 1:
                spent = now - self._since
                lines.append(f"in all {_time(spent, self._left(now))}")
            self.screen.show(["stopping ..."] if self.stopped else lines)

    def _left(self, now: float) -> float:
        """Seconds until all is done, if as many notebooks run side by side as so far."""
        known = self._expected | self.done
        spent = self.done | {run.stem: now - run.began for run in self._running.values()}
        if not known:
            return 0
        mean = sum(known.values()) / len(known)
        waiting = {*self.todo} - {*self.done, *self.failed}
        work = sum(max(known.get(stem, mean) - spent.get(stem, 0), 0) for stem in waiting)
        together = sum(spent.values())
        return work * min(1, (now - self._since) / together) if together else work


def _time(spent: float, left: float = 0) -> str:
    return tqdm.format_interval(spent) + (f", about {tqdm.format_interval(left)} left" * (left > 1))


def expected(runs: Path, stems: Iterable[str]) -> dict[str, float]:
    """Seconds that notebooks took last time; else, in the quick profile, as the index says."""
    path = project() / "benchmarks" / "run_times.csv"
    rows = csv.DictReader(path.read_text().splitlines()) if path.exists() else []
    times = {row["notebook"]: float(row["seconds"]) for row in rows if row["profile"] == runs.name}
    for measured in (runs / "benchmarks").glob("*.tsv"):
        for row in csv.DictReader(measured.read_text().splitlines(), delimiter="\t"):
            times[measured.stem] = float(row["s"])
    return {stem: times[stem] for stem in stems if stem in times}


def fault(log: Path) -> list[str]:
    """The error that ended a notebook, and the line of the cell that raised it."""
    try:
        cells = nbformat.read(log, as_version=4).cells
    except (OSError, nbformat.reader.NotJSONError):
        cells = []
    outputs = (output for cell in cells for output in cell.get("outputs", []))
    error = next((output for output in outputs if output.output_type == "error"), None)
    if error is None:
        return ["it ended without an error in a cell"]
    message = f"{error.ename}: {error.evalue}".strip().partition("\n")[0]
    place = ARROW.search(COLOURS.sub("", "\n".join(error.traceback)))
    return [message] + ([f"in line {place[1]} of a cell: {place[2].strip()}"] if place else [])
