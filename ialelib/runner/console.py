"""A batch on a calm console: a line for each notebook, then each figure with its file.

`python -m ialelib.runner.console PROFILE TARGET [OPTION ...]` checks a profile's params files, and
runs Snakemake, with these options, for a target of the Snakefile or a figure of the paper. What
Snakemake, papermill and the notebooks print goes to runs/PROFILE/batch.log.
"""

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from ialelib import runner
from ialelib.runner.follow import Follower
from ialelib.runner.screen import Screen

TARGETS = ("all", "figures")
SECTIONS = {"a21": "Section A.2.1", "cost": "Section 4.2"}
"""Where the paper has numbers, and no figure."""
INTERRUPTED = 128 + signal.SIGINT


def run(profile: str, target: str, options: Sequence[str]) -> int:
    """Run a batch; 0 if all that was asked for is there in the end, 130 after Ctrl-C."""
    folder, log = Path("params") / profile, Path("runs") / profile / "batch.log"
    figure = [] if target in TARGETS else [target]
    # The check, and with it torch, is loaded here, not before Ctrl-C is looked after.
    if refused := runner.check.main([str(folder), *figure]):
        return refused
    batch = runner.check.batch(folder)
    config = [f"profile={profile}", *(f"figure={name}" for name in figure)]
    command = ["--nolock", *options, "--config", *config, "--", "figures" if figure else target]
    with printing_to(log) as out:
        follower = Follower(Screen(out), log.parent, batch)
        follower.screen.say(f"{target}: details go to {log}")
        status = _snakemake(command, follower)
    if follower.stopped:
        print(stopped(follower))
        return INTERRUPTED
    if follower.up_to_date:
        print("Nothing had to be run.")
    if not (follower.jobs or follower.up_to_date):
        # A dry run, a list, or an option that Snakemake refuses: what it says is what was asked.
        print(log.read_text(), end="")
    elif status:
        print(failed(follower))
    else:
        print(*results(batch, profile, target), sep="\n")
    return status


@contextmanager
def printing_to(log: Path) -> Iterator[TextIO]:
    """In the block all that this process and its children print goes to a file.

    Yields what was the standard output.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    kept = [os.dup(number) for number in (1, 2)]
    with log.open("w") as file, os.fdopen(os.dup(1), "w") as out:
        try:
            for number in (1, 2):
                os.dup2(file.fileno(), number)
            yield out
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, before in zip((1, 2), kept, strict=True):
                os.dup2(before, number)
                os.close(before)


def _snakemake(command: list[str], follower: Follower) -> int:
    """Snakemake's exit status; the follower hears what it does, and is drawn every second."""
    from snakemake import cli

    def stop(number: int, frame: FrameType | None) -> None:
        # Once: Snakemake waits for its children, which have had the signal, too.
        if not follower.stopped:
            follower.stopped = True
            raise KeyboardInterrupt

    def draw() -> None:
        while not ended.wait(1):
            follower.draw()

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, stop)
    logging.getLogger("snakemake.logging").addFilter(follower.hear)
    ended = threading.Event()
    drawing = threading.Thread(target=draw, daemon=True)
    drawing.start()
    try:
        cli.main(command)
    except SystemExit as end:
        return int(end.code or 0)
    except KeyboardInterrupt:
        return INTERRUPTED
    finally:
        ended.set()
        drawing.join()
        follower.screen.show([])
    return 0


def stopped(follower: Follower) -> str:
    """What is left after Ctrl-C, in a sentence."""
    return (
        f"Stopped with {len(follower.done)} of {len(follower.todo)} notebooks done; what is "
        f"finished, within a notebook too, is kept in {follower.runs}, and the same command goes "
        "on from there."
    )


def failed(follower: Follower) -> str:
    """How far a batch came in which something failed, in a sentence."""
    if not follower.failed:
        return f"Snakemake failed; its error is at the end of {follower.runs / 'batch.log'}"
    done = f"{len(follower.done)} of {len(follower.todo)} notebooks are done"
    return f"{done}; the same command tries the rest again."


def results(batch: Mapping[str, Any], profile: str, target: str) -> Iterator[str]:
    """Where to find what was asked for: the paper's figures by their names, and all else."""
    check = runner.check
    if target not in TARGETS:
        stem = check.drawing(target, batch, check.figures())
        yield f"Drawn from params/{profile}/{stem}.yaml: {check.summary(vars(batch[stem]))}"
        yield f"{title([target])}: {check.picture(target, batch)}"
        return
    shown = [(name, check.picture(name, batch)) for name in check.drawable(batch)]
    files = {path: title([name for name, other in shown if other == path]) for _, path in shown}
    width = max(map(len, files.values()), default=0)
    yield from (f"{name:<{width}}  {path}" for path, name in files.items())
    yield f"All figures and tables: {', '.join(sorted({each.figures for each in batch.values()}))}"
    yield f"Executed notebooks: runs/{profile}"
    if target == "all":
        yield f"All on one page: {Path('runs', profile, 'gallery', 'index.html').resolve()}"


def title(figures: Sequence[str]) -> str:
    """What the paper calls figures.

    >>> title(["fig08a"]), title(["fig04a", "fig11"]), title(["cost"])
    ('Figure 8a', 'Figures 4a, 11', 'Section 4.2')
    """
    if figures[0] in SECTIONS:
        return SECTIONS[figures[0]]
    numbers = ", ".join(name.removeprefix("fig").lstrip("0") for name in figures)
    return f"Figure{'s' * (len(figures) > 1)} {numbers}"


def main(arguments: list[str]) -> int:
    """Run a batch, which Ctrl-C ends at any moment with a sentence."""
    profile, target, *options = arguments
    try:
        return run(profile, target, options)
    except KeyboardInterrupt:
        print("Stopped before anything was run.")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
