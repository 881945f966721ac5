"""How strategies look: the same in every figure, and told apart in each."""

import pandas as pd
import pytest
from test_metrics import GOOD, RANDOM
from test_metrics import curves as flat

from ialelib.experts import EXPERTS
from ialelib.plots.curves import aubc_gains, learning_curves, policy_training
from ialelib.plots.ranks import critical_differences
from ialelib.plots.style import COLOURS, DASHES, NAMES, POLICY_COLOURS, styles
from ialelib.utils.errors import InputError

POLICIES = ["mine", "yours", "theirs"]


def test_every_strategy_has_a_look_and_a_name() -> None:
    assert (
        {*EXPERTS, "generalist", "policy", "alil", "oracle"}
        == set(COLOURS)
        == set(DASHES)
        == set(NAMES)
    )


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


def curves() -> pd.DataFrame:
    """Of a policy by name and of random sampling, which it beats."""
    rows = [
        {"dataset": d, "strategy": s, "seed": seed, "labels": n, "accuracy": good + n / 100}
        for d in ("one", "two")
        for s, good in (("mine", 0.5), ("random", 0.4))
        for seed in (0, 1)
        for n in (20, 30)
    ]
    return pd.DataFrame(rows)


def test_own_functions_look_different_from_the_policy_beside_them() -> None:
    looks = styles(["random", "own", "policy"])
    assert looks["policy"] == styles(["policy"])["policy"]
    assert len(set(looks.values())) == 3


def test_curves_of_policies_by_name_have_their_colours_and_seeds() -> None:
    figure = learning_curves(curves())
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == [f"{d} (2 seeds, 95% interval)" for d in ("one", "two")]
    assert figure.axes[0].get_legend() is None
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert legend.get_window_extent().x0 > figure.axes[1].get_window_extent().x1
    lines = zip(legend.get_texts(), legend.get_lines(), strict=True)
    colours = {text.get_text(): line.get_color() for text, line in lines}
    assert colours == {"mine": COLOURS["policy"], "Random": COLOURS["random"]}


def test_experts_of_ones_own_have_their_share_of_wins_and_other_columns_have_none() -> None:
    shares = {"badge": [0.5, 0.25], "own": [0.25, 0.5], "entropy": [0.25, 0.25]}
    about = {"episode": [1, 2], "loss": [0.7, 0.5], "acted": [0.0, 0.5], "seconds": [1.0, 2.0]}
    right = policy_training(pd.DataFrame(about | shares | {"seed": 0})).axes[1]
    legend = right.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["own", "Entropy", "BADGE"]
    tops = [bar.get_y() + bar.get_height() for bar in right.patches[-2:]]  # type: ignore[attr-defined]
    assert tops == [100, 100]


def test_ranks_of_policies_by_name_have_their_colours() -> None:
    (ax,) = critical_differences(curves()).axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["mine", "Random"]
    dots = [line.get_color() for line in ax.get_lines() if line.get_marker() == "o"]
    assert dots == [COLOURS["policy"], COLOURS["random"]]


def test_gains_on_many_data_sets_stand_three_in_a_row() -> None:
    names = [f"set {i}" for i in range(5)]
    table = pd.concat([flat({"random": RANDOM, "badge": GOOD}, name) for name in names])
    panels = aubc_gains(table).axes
    assert [panel.get_title() for panel in panels] == names
    left = [round(panel.get_position().x0, 3) for panel in panels]
    assert left[3:] == left[:2]
    assert len(set(left)) == 3
