"""All stages of the generalist's training, one after the other."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from ialelib.data import DataSet
from ialelib.experts import MC_PASSES
from ialelib.generalist import Generalist
from ialelib.search.evolution import SearchConfig, gains_over_random, search_policy
from ialelib.search.imitation import ImitationConfig, imitate


def train_generalist(
    data: Sequence[DataSet],
    folder: Path,
    imitation: ImitationConfig | None = None,
    search: SearchConfig | None = None,
    scratch: SearchConfig | None = None,
    processes: int = 1,
) -> tuple[Generalist, pd.DataFrame]:
    """A policy that imitates the oracle and is then improved by search on tasks from `data`.

    Imitation and `search` take the views that are embeddings. With `scratch` a second search goes
    on from there, on tasks of which half or so are images, for classifiers that are trained from
    scratch: only there the classifier's misfit counts, whose weights begin with 0. The policy that
    comes out averages passes with dropout (`averaging.compare_passes`). Resumable, bit for bit:
    what is finished lies in `folder`. Returns the policy, and the table of
    `gains_over_random` with a column stage, "search" or "scratch".
    """
    imitation, search = imitation or ImitationConfig(), search or SearchConfig()
    images = [view for view in data if view.train_inputs.ndim > 2]
    embedded = [view for view in data if view.train_inputs.ndim == 2]
    used = data if scratch else embedded
    about: dict[str, Any] = {
        "views": [f"{view.name}, {view.classes} classes, {view.fingerprint}" for view in used],
        "imitation": asdict(imitation),
        "search": asdict(search),
    }

    def searched(
        stage: str, views: Sequence[DataSet], config: SearchConfig, start: Generalist
    ) -> tuple[Generalist, pd.DataFrame]:
        policy, table = search_policy(views, config, start, folder / stage, processes)
        gains = gains_over_random(table, views, config, folder / f"{stage}_random", processes)
        return policy, gains.assign(stage=stage)

    start, _ = imitate(embedded, imitation, folder / "imitation", processes)
    policy, table = searched("search", embedded, search, start)
    if scratch:
        about["scratch"] = asdict(scratch)
        wide = Generalist(torch.nn.functional.pad(policy.weight_F_K, (0, 1)))
        policy, more = searched("scratch", [*embedded, *images, *images], scratch, wide)
        table = pd.concat([table, more], ignore_index=True)
    about["core"] = "; ".join(table["core"].unique())
    return replace(policy, about=about, passes=MC_PASSES), table
