"""Imitation: a policy that ranks batches as the oracle does; resumable, bit for bit."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from source_views import VIEWS
from toys import untimed

from ialelib.features import NAMES
from ialelib.search.imitation import COLUMNS, ImitationConfig, examples, fit, imitate
from ialelib.search.tasks import draw

TINY = ImitationConfig(rounds=2, tasks=2, moments=1, batches=6)


def test_learns_which_feature_makes_batches_good() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(300, len(COLUMNS)))
    good = COLUMNS.index("density_constant")
    loss = -features[:, good] + 0.1 * rng.normal(size=300)
    moments = {"task": np.arange(300) // 100, "moment": np.arange(300) // 50, "loss": loss}
    table = pd.DataFrame(features, columns=COLUMNS).assign(**moments)
    weight_F_K = fit(table, ridge=1e-3).weight_F_K
    assert weight_F_K.flatten().argmax() == good
    assert COLUMNS[2 * NAMES.index("density")] == "density_constant"


def test_the_oracle_is_asked_at_some_acquisitions() -> None:
    config = draw(VIEWS, 5).config
    table = examples(VIEWS, 5, None, TINY)
    (moment,) = set(table["moment"])
    assert set(table["labels"]) == {config.initial + moment * config.acq}
    everywhere = examples(VIEWS, 5, None, replace(TINY, moments=50))
    assert sorted(set(everywhere["labels"])) == [*range(config.initial, config.budget, config.acq)]


def test_resumes_bit_for_bit_in_several_processes(tmp_path: Path) -> None:
    policy, table = imitate(VIEWS, TINY, tmp_path / "one")
    (tmp_path / "two").mkdir()
    for kept in sorted((tmp_path / "one").iterdir())[::2]:
        (tmp_path / "two" / kept.name).write_bytes(kept.read_bytes())
    again, other = imitate(VIEWS, TINY, tmp_path / "two", processes=2)
    assert again.fingerprint() == policy.fingerprint()
    assert set(table["round"]) == {0, 1}
    assert table.groupby(["round", "task", "moment"]).size().eq(6).all()
    pd.testing.assert_frame_equal(untimed(table), untimed(other), check_exact=True)
    assert torch.isfinite(policy.weight_F_K).all()
