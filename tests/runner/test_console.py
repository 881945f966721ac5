"""What a person sees of a batch, on a terminal and in a log, to its end, its failure or Ctrl-C."""

import io
import logging
import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from snakemake_interface_logger_plugins.common import LogEvent
from test_batch import PROJECT, STEMS, begin, environment, files, make, noted, small, start, write

from ialelib.runner import check, console, follow
from ialelib.runner.screen import Screen

__all__ = ["small"]
COMMAND = [sys.executable, "-m", "ialelib.runner.console", "small"]


def test_a_log_has_plain_lines_each_figure_and_what_else_there_is(small: Path) -> None:
    done = make(small, "reproduce")
    assert done.returncode == 0
    assert done.stderr == ""
    assert not {"\r", "\x1b"} & {*done.stdout}
    first, *lines = done.stdout.splitlines()
    assert first == "all: details go to runs/small/batch.log"
    ends = [line for line in lines if re.fullmatch(r"\d of 6  \S+ +\d\d:\d\d", line)]
    assert sorted(line.split()[3] for line in ends) == sorted(STEMS)
    shown = [re.sub(" +", " ", line) for line in lines]
    assert "Figure 1 figures/small/01_toy_gaussians_strategies.png" in shown
    assert "Figures 3b, 3c figures/small/03_transfer_datasets_curves.png" in shown
    assert lines[-1] == f"All on one page: {small}/runs/small/gallery/index.html"
    assert len(lines) < 25
    details = (small / "runs/small/batch.log").read_text()
    assert "Building DAG of jobs" in details
    assert done.stdout.count("batch.log") == 1


def test_a_figure_ends_with_its_path_also_where_nothing_was_to_do(small: Path) -> None:
    path = "figures/small/08_ablation_experts_curves.png"
    for first in ("1 of 2  02_policy_training-warm  started", "Nothing had to be run."):
        done = make(small, "fig08a")
        assert done.returncode == 0
        assert done.stdout.splitlines()[1] == first
        assert done.stdout.splitlines()[-1] == f"Figure 8a: {path}"
    assert (small / path).exists()


def test_a_failure_is_a_short_block_and_the_others_go_on(small: Path) -> None:
    write(small / "broken.txt", "02_policy_training-warm")
    done = make(small, "reproduce")
    assert done.returncode == 2
    lines = done.stdout.splitlines()
    (place,) = (i for i, line in enumerate(lines) if "failed after" in line)
    assert "02_policy_training-warm" in lines[place]
    assert lines[place + 1 : place + 3] == [
        "    it ended without an error in a cell",
        "    see runs/small/logs/02_policy_training-warm.ipynb",
    ]
    assert lines[-1] == "4 of 6 notebooks are done; the same command tries the rest again."
    assert "Traceback" not in done.stdout + done.stderr


def test_the_error_of_a_notebook_is_named_with_the_line_of_its_cell(tmp_path: Path) -> None:
    source = "values = {}\n\nfor name in 'ab':\n    values[name] += 1"
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    with pytest.raises(CellExecutionError):
        NotebookClient(book, kernel_name="python3").execute()
    nbformat.write(book, tmp_path / "log.ipynb")
    found = follow.fault(tmp_path / "log.ipynb")
    assert found == ["KeyError: 'a'", "in line 4 of a cell: values[name] += 1"]
    assert follow.fault(tmp_path / "none.ipynb") == ["it ended without an error in a cell"]


def processes(folder: Path) -> list[str]:
    """The command lines of what runs in a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


def until(out: IO[str], pattern: str) -> None:
    """Wait for a line that a program prints."""
    for line in out:
        if re.search(pattern, line):
            return
    pytest.fail(f"{pattern} was not printed")


@pytest.mark.skipif(not Path("/proc").exists(), reason="needs /proc to count processes")
@pytest.mark.parametrize("command", [[*COMMAND, "all", "--cores", "2"], ["make", "reproduce"]])
def test_ctrl_c_says_what_is_kept_and_leaves_nothing_running(
    small: Path, command: list[str]
) -> None:
    slow = {"02_policy_training", "02_policy_training-warm"}
    write(small / "slow.txt", " ".join(slow))
    by_make = command[0] == "make"
    process = start(small, *command[1:]) if by_make else begin(small, command)
    assert process.stdout
    assert process.stderr
    until(process.stdout, r"02_policy_training(-warm)? +started")
    while not (small / "ran.txt").exists() or not slow & {*noted(small)}:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    # Make itself ends by the signal, which shells call 130, too.
    assert process.returncode == (-signal.SIGINT if by_make else 130)
    (sentence,) = (line for line in out.splitlines() if line.startswith("Stopped"))
    assert re.fullmatch(
        r"Stopped with \d of 6 notebooks done; what is finished, within a notebook too, is kept in "
        r"runs/small, and the same command goes on from there\.",
        sentence,
    )
    assert "failed" not in out
    assert "Traceback" not in out + err
    assert processes(small) == []


def test_ctrl_c_before_anything_runs_is_a_sentence(small: Path) -> None:
    script = (
        "import sys\nfrom ialelib.runner import check, console\n"
        "def main(arguments): raise KeyboardInterrupt\n"
        "check.main = main\nsys.exit(console.main(['small', 'all']))\n"
    )
    before = files(small)
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=small,
        env=environment(small),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (130, "")
    assert done.stdout == "Stopped before anything was run.\n"
    assert files(small) == before


def test_an_option_that_snakemake_refuses_is_shown(small: Path) -> None:
    done = make(small, "figures", "WHERE=--cores two")
    assert done.returncode == 2
    assert "must be integer or 'all'" in done.stdout
    assert not (small / "ran.txt").exists()


def terminal(small: Path, *arguments: str) -> tuple[int, str]:
    """Exit status of the console on a terminal, and all that it wrote there."""
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        cwd=small,
        env=environment(small) | {"TERM": "xterm"},
        stdout=follower,
        stderr=follower,
        start_new_session=True,
    )
    os.close(follower)
    written = b""
    with open(leader, "rb", buffering=0) as file:
        try:
            while part := file.read(4096):
                written += part
        except OSError:  # of Linux, where the other end is closed
            pass
    return process.wait(), written.decode()


def seen(written: str) -> list[str]:
    """The lines that a terminal shows in the end."""
    lines: list[str] = []
    for part in re.split(r"(\x1b\[\d*F\x1b\[J)", written.replace("\r", "")):
        if up := re.match(r"\x1b\[(\d+)F", part):
            del lines[len(lines) - int(up[1]) :]
        else:
            lines += part.split("\n")[:-1]
    return lines


def test_a_terminal_has_a_live_line_that_is_gone_in_the_end(small: Path) -> None:
    write(small / "runs/small/benchmarks/02_policy_training-warm.tsv", "s\tcpu_time\n75\t1\n")
    status, written = terminal(small, "fig08a", "--cores", "2")
    assert status == 0
    assert re.search(r"1 of 2  02_policy_training-warm  00:0\d, about 01:1\d left\r\n", written)
    assert re.search(r"in all 00:0\d, about 02:\d\d left\r\n", written)
    lines = seen(written)
    assert lines[0] == "fig08a: details go to runs/small/batch.log"
    assert [line[:7] for line in lines[1:3]] == ["1 of 2 ", "2 of 2 "]
    assert lines[3].startswith("Drawn from params/small/08_ablation_experts.yaml")
    assert lines[4:] == ["Figure 8a: figures/small/08_ablation_experts_curves.png"]


def test_a_live_line_is_never_wider_than_the_terminal() -> None:
    leader, follower = pty.openpty()
    os.environ["TERM"] = "xterm"
    with open(follower, "w") as out:
        columns = os.get_terminal_size(follower).columns or 80
        screen = Screen(out)
        screen.show(["x" * 500])
        screen.say("stays")
    written = os.read(leader, 4096).decode()
    os.close(leader)
    assert written == "x" * (columns - 1) + "\r\n\x1b[1F\x1b[Jstays\r\n"


def test_without_a_terminal_only_what_stays_is_printed() -> None:
    screen = Screen(out := io.StringIO())
    screen.show(["gone"])
    screen.say("stays")
    assert out.getvalue() == "stays\n"


def test_the_time_left_comes_from_the_last_run_or_from_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PROJECT)
    stems = ["01_toy_gaussians", "12_statistics", "99_unknown"]
    write(tmp_path / "quick/benchmarks/12_statistics.tsv", "s\th:m:s\n99.5\t-\n")
    known = follow.expected(tmp_path / "quick", stems)
    assert known.keys() == {*stems[:2]}
    assert 1 < known["01_toy_gaussians"] < 600
    assert known["12_statistics"] == 99.5
    assert follow.expected(tmp_path / "cpu", stems) == {}


def test_only_what_makes_notebooks_is_counted(tmp_path: Path) -> None:
    follower = follow.Follower(Screen(out := io.StringIO()), tmp_path, ["01_toy_gaussians"])

    def say(event: LogEvent, **values: object) -> None:
        record = logging.makeLogRecord({"event": event, **values})
        assert follower.hear(record) is True

    say(LogEvent.WORKFLOW_STARTED)
    assert follower.up_to_date
    say(LogEvent.RUN_INFO, stats={"01_toy_gaussians": 1, "gallery": 1, "total": 2})
    assert (follower.up_to_date, follower.todo) == (False, ["01_toy_gaussians"])
    say(LogEvent.JOB_INFO, jobid=1, rule_name="01_toy_gaussians")  # as in a dry run
    assert out.getvalue() == ""
    say(LogEvent.JOB_STARTED, jobs=[1])
    for job, rule in ((1, "01_toy_gaussians"), (2, "gallery")):
        say(LogEvent.JOB_INFO, jobid=job, rule_name=rule)
    say(LogEvent.JOB_FINISHED, job_id=1)
    say(LogEvent.JOB_ERROR, jobid=2, rule_name="gallery")
    assert out.getvalue().splitlines() == [
        "1 of 1  01_toy_gaussians  started",
        "1 of 1  01_toy_gaussians  00:00",
        f"gallery failed, at the end of {tmp_path}/batch.log",
    ]
    assert console.failed(follower).startswith("1 of 1 notebooks are done;")


def test_every_figure_has_a_name_and_a_picture_that_its_notebook_declares() -> None:
    for name in ("quick", "cpu", "paper"):
        batch = check.batch(PROJECT / "params" / name)
        for figure in check.drawable(batch):
            stem = check.drawing(figure, batch, check.figures())
            assert check.picture(figure, batch) in batch[stem].outputs()
    assert console.title(["fig08a"]) == "Figure 8a"
    assert console.title(["fig03b", "fig11"]) == "Figures 3b, 11"
    assert console.title(["a21"]) == "Section A.2.1"
    batch = check.batch(PROJECT / "params" / "quick")
    assert check.picture("fig12g", batch) == check.picture("fig12", batch)
