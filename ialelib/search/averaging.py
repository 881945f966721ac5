"""Whether averaging over dropout pays: a policy with several numbers of passes, on source tasks."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from ialelib.data import DataSet
from ialelib.generalist import Generalist
from ialelib.metrics import gains_over, holm
from ialelib.search.evolution import CHANCE, evaluate
from ialelib.search.tasks import draw
from ialelib.utils.checks import check_count
from ialelib.utils.seeds import derive

RANDOM = "random"


def compare_passes(
    data: Sequence[DataSet],
    policy: Generalist,
    passes: Sequence[int],
    tasks: int,
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """AUBC of the policy with each number of passes, and of random sampling, on the same tasks.

    The tasks are drawn from `data` with seeds of their own. Columns: task, dataset, classifier,
    recipe, passes (a number as text, or "random"), aubc.
    """
    check_count("tasks", tasks)
    seeds = [derive(0, "averaging", task) for task in range(tasks)]
    policies = [CHANCE, *(replace(policy, passes=number) for number in passes)]
    names = dict(enumerate([RANDOM, *map(str, passes)]))
    table = evaluate(data, seeds, policies, folder, processes)
    table["passes"] = table["candidate"].map(names)
    drawn = [draw(data, seed) for seed in seeds]
    about = pd.DataFrame(
        {
            "dataset": [task.data.name for task in drawn],
            "classifier": [task.config.classifier for task in drawn],
            "recipe": [task.config.recipe for task in drawn],
        }
    )
    return table.join(about, on="task")[["task", *about, "passes", "aubc", "commit", "core"]]


def gains(table: pd.DataFrame) -> pd.DataFrame:
    """What each number of passes gains over the first one, on all tasks and for each classifier.

    Columns: classifier, passes, tasks, aubc (mean), gain (mean of the paired differences), margin
    (half its 95% interval), p (Wilcoxon signed rank, two-sided), p_holm (over all rows).
    """
    wide = table.pivot_table(index=["classifier", "task"], columns="passes", values="aubc")
    order = table["passes"].unique()
    first = next(name for name in order if name != RANDOM)
    kinds = {"all": wide, **{str(name): part for name, part in wide.groupby(level="classifier")}}
    parts = [gains_over(part[order], first).assign(classifier=name) for name, part in kinds.items()]
    found = pd.concat(parts, ignore_index=True)
    found = found.rename(columns={"strategy": "passes", "seeds": "tasks"})
    found = found[found["passes"] != first]
    columns = ["classifier", "passes", "tasks", "aubc", "gain", "margin", "p"]
    return found[columns].assign(p_holm=holm(found["p"])).reset_index(drop=True)
