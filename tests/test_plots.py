"""How strategies look: the same in every figure, and told apart in each."""

import pandas as pd
import pytest

from ialelib.errors import InputError
from ialelib.experts import EXPERTS
from ialelib.plots import COLOURS, DASHES, NAMES, POLICY_COLOURS, learning_curves, styles

POLICIES = ["mine", "yours", "theirs"]


def test_every_strategy_has_a_look_and_a_name() -> None:
    assert {*EXPERTS, "policy", "alil"} == set(COLOURS) == set(DASHES) == set(NAMES)


def test_known_strategies_look_the_same_whatever_stands_beside_them() -> None:
    alone, beside = styles(["badge"]), styles([*POLICIES, "entropy", "badge"])
    assert alone["badge"] == beside["badge"] == (COLOURS["badge"], DASHES["badge"])


def test_policies_come_first_in_their_order_and_no_two_look_alike() -> None:
    looks = styles(["random", *POLICIES, *set(EXPERTS) - {"random"}])
    assert list(looks)[:3] == POLICIES
    assert len(set(looks.values())) == len(looks) == 3 + len(EXPERTS)
    assert looks["mine"][0] == COLOURS["policy"]


def test_more_policies_than_colours_are_refused() -> None:
    with pytest.raises(InputError, match="up to 6 policies, not 7"):
        styles(map(str, range(len(POLICY_COLOURS) + 1)))


def test_curves_of_policies_by_name_have_their_colours_and_seeds() -> None:
    rows = [
        {"dataset": d, "strategy": s, "seed": seed, "labels": n, "accuracy": 0.5 + n / 100}
        for d in ("one", "two")
        for s in ("mine", "random")
        for seed in (0, 1)
        for n in (20, 30)
    ]
    figure = learning_curves(pd.DataFrame(rows))
    assert [ax.get_title() for ax in figure.axes] == [
        f"{d} (2 seeds, 95% interval)" for d in ("one", "two")
    ]
    legend = figure.axes[0].get_legend()
    assert legend is not None
    colours = {
        t.get_text(): line.get_color()
        for t, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
    }
    assert colours == {"mine": COLOURS["policy"], "Random": COLOURS["random"]}
