"""Both stages together: the search starts where imitation ends."""

from pathlib import Path

from source_views import VIEWS

from ialelib.search.evolution import SearchConfig
from ialelib.search.imitation import ImitationConfig, imitate
from ialelib.search.stages import train_generalist

IMITATION = ImitationConfig(rounds=1, tasks=1, moments=1, batches=5)
SEARCH = SearchConfig(generations=1, candidates=4, tasks=1, averaged=1, spread=1e-4)


def test_search_starts_where_imitation_ends(tmp_path: Path) -> None:
    policy, table = train_generalist(VIEWS, tmp_path, IMITATION, SEARCH)
    start, _ = imitate(VIEWS, IMITATION, tmp_path / "imitation")
    unit = start.weight_F_2 / start.weight_F_2.norm()
    assert (policy.weight_F_2 - unit).abs().max() < 1e-3
    assert len(table) == SEARCH.candidates
    assert policy.about["search"]["spread"] == SEARCH.spread
    assert policy.about["views"][0].startswith("view, 12 classes")
