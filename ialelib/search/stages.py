"""Both stages of the generalist's training, one after the other."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd

from ialelib.data import DataSet
from ialelib.generalist import Generalist
from ialelib.search.evolution import SearchConfig, search_policy
from ialelib.search.imitation import ImitationConfig, imitate


def train_generalist(
    data: Sequence[DataSet],
    folder: Path,
    imitation: ImitationConfig | None = None,
    search: SearchConfig | None = None,
    processes: int = 1,
) -> tuple[Generalist, pd.DataFrame]:
    """A policy that imitates the oracle and is then improved by search on tasks from `data`.

    Resumable, bit for bit: what is finished lies in `folder`. Returns the policy, and
    `search_policy`'s table.
    """
    imitation, search = imitation or ImitationConfig(), search or SearchConfig()
    start, _ = imitate(data, imitation, folder / "imitation", processes)
    policy, table = search_policy(data, search, start, folder / "search", processes)
    about = {
        "views": [f"{view.name}, {view.classes} classes, {view.fingerprint}" for view in data],
        "imitation": asdict(imitation),
        "search": asdict(search),
    }
    return replace(policy, about=about), table
