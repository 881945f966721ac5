"""The stages together: each search starts where the stage before ends."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from source_views import VIEWS

from ialelib.data import load_data
from ialelib.features import NAMES
from ialelib.search import evolution, tasks
from ialelib.search.evolution import SearchConfig
from ialelib.search.imitation import ImitationConfig, imitate
from ialelib.search.stages import train_generalist

IMITATION = ImitationConfig(rounds=1, tasks=1, moments=1, batches=5)
SEARCH = SearchConfig(generations=1, candidates=4, tasks=1, averaged=1, spread=1e-4)


def test_search_starts_where_imitation_ends(tmp_path: Path) -> None:
    policy, table = train_generalist(VIEWS, tmp_path, IMITATION, SEARCH)
    start, _ = imitate(VIEWS, IMITATION, tmp_path / "imitation")
    unit = start.weight_F_K / start.weight_F_K.norm()
    assert (policy.weight_F_K - unit).abs().max() < 1e-3
    assert len(table) == SEARCH.candidates
    assert policy.about["search"]["spread"] == SEARCH.spread
    assert policy.about["views"][0].startswith("view, 12 classes")


def test_the_last_search_adds_images_and_weights_for_the_misfit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = [*VIEWS, tasks.some(load_data("mnist-10k"), 2000)]
    seen: dict[str, list[str]] = {}
    searched = evolution.search_policy

    def watched(data, config, start, folder, processes):  # type: ignore[no-untyped-def]
        seen[folder.name] = [view.name for view in data]
        return searched(data, config, start, folder, processes)

    monkeypatch.setattr("ialelib.search.stages.search_policy", watched)
    first, _ = train_generalist(VIEWS, tmp_path, IMITATION, SEARCH)
    last = replace(SEARCH, tasks=2)
    policy, table = train_generalist(views, tmp_path, IMITATION, SEARCH, last)
    assert seen == {
        "search": ["view", "view"],
        "scratch": ["view", "view", "mnist-10k", "mnist-10k"],
    }
    assert policy.weight_F_K.shape == (len(NAMES), 3)
    wide = torch.nn.functional.pad(first.weight_F_K, (0, 1))
    assert (policy.weight_F_K - wide).abs().max() < 2e-3
    assert policy.weight_F_K[:, 2].any()
    assert table["stage"].value_counts().to_dict() == {"search": 4, "scratch": 8}
    assert table["gain"].notna().all()
    assert policy.about["scratch"]["tasks"] == 2
