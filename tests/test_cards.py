"""The card says what the policy was trained with, and how well it performs."""

from pathlib import Path
from unittest.mock import Mock

import pandas as pd
import pytest
import torch
from toys import TOY

from ialelib import dagger
from ialelib import policy as policies
from ialelib import results as cards
from ialelib.data import DataSet
from ialelib.features import NAMES
from ialelib.generalist import Generalist


def test_card_holds_settings_cost_wins_and_results(toy: DataSet, tmp_path: Path) -> None:
    config = dagger.DaggerConfig(TOY, ("entropy", "coreset"), episodes=2, validation=50, seed=7)
    policy, history = dagger.train_policy(toy, config, tmp_path / "run")
    results = pd.DataFrame({"strategy": ["policy", "random"], "aubc": [0.87654, 0.8]})
    card = cards.card(policy, history, results, "mine")
    assert policy.fingerprint() in card
    for row in ("| dataset | toy |", "| budget | 40 |", "| seed | 7 |", "| policy | 0.8765 |"):
        assert row in card
    assert f"| 2 | {history['loss'][1]:.3f}".rstrip("0") in card
    assert "2 episodes: 0 minutes" in card


def test_card_does_not_invent_a_cost(toy: DataSet, tmp_path: Path) -> None:
    config = dagger.DaggerConfig(TOY, ("entropy",), episodes=1, validation=50)
    policy, history = dagger.train_policy(toy, config, tmp_path / "run")
    card = cards.card(policy, history.assign(seconds=float("nan")), history, "mine")
    assert "time not recorded" in card


@pytest.mark.usefixtures("empty_checkout")
def test_a_published_policy_lies_beside_its_card(toy: DataSet, tmp_path: Path) -> None:
    policy, history = dagger.train_policy(
        toy, dagger.DaggerConfig(TOY, ("entropy",), episodes=1, validation=50), tmp_path / "run"
    )
    cards.publish_policy(policy, history, history, "mine")
    loaded = policies.load_policy(tmp_path / "policies/mine.safetensors")
    assert loaded.fingerprint() == policy.fingerprint()
    assert (tmp_path / "policies/mine.md").read_text().startswith("# Policy mine\n")


@pytest.mark.usefixtures("empty_checkout")
def test_a_policy_and_its_card_change_together_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    history = pd.DataFrame(
        {"stage": ["search"], "generation": [0], "gain": [0.5], "seconds": [1.0]}
    )
    old, new = (Generalist(torch.full((len(NAMES), 2), x), {"seed": x}) for x in (1.0, 2.0))
    cards.publish_policy(old, history, history, "mine")
    before = {path: path.read_bytes() for path in (tmp_path / "policies").iterdir()}
    with pytest.raises(KeyError):
        cards.publish_policy(new, pd.DataFrame(), history, "mine")
    assert {path: path.read_bytes() for path in (tmp_path / "policies").iterdir()} == before
    monkeypatch.setattr(policies, "save_policy", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        cards.publish_policy(new, history, history, "mine")
    assert {path: path.read_bytes() for path in (tmp_path / "policies").iterdir()} == before


def test_the_generalists_card_says_how_it_was_searched() -> None:
    about = {"search": {"generations": 2, "seed": 5}, "views": ["mnist"]}
    policy = Generalist(torch.ones(len(NAMES), 3), about, passes=7)
    generations = pd.DataFrame({"generation": [0, 0, 1, 1], "gain": [0.5, 0.6, 0.6, 0.7]})
    history = generations.assign(stage="search", candidate=[0, 1, 0, 1], task=0, seconds=30.0)
    results = pd.DataFrame({"strategy": ["generalist"], "aubc": [0.87654]})
    card = cards.card(policy, history, results, "mine")
    assert card.startswith("# Policy mine\n")
    assert 'ialelib.load_policy("mine")' in card
    assert policy.fingerprint() in card
    for row in ("| search generations | 2 |", "| search seed | 5 |", "| search | 1 | 0.65 |"):
        assert row in card
    assert "4 cycles of the search: 2 minutes" in card
    assert "mean probabilities of 7 passes" in card
    assert f"| {NAMES[0]} | 1.0 | 3.996 | 4.496 |" in card
    assert "| generalist | 0.8765 |" in card
