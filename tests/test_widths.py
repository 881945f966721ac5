"""Other embedding widths than a policy's."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ialelib import widths
from ialelib.errors import InputError
from ialelib.policy import Policy
from ialelib.state import CLASS_FREE, FULL, Parts, State, blocks, describe


def seen(width: int) -> State:
    torch.manual_seed(0)
    embedding_N_D, weight_C_D = torch.rand(50, width), torch.randn(10, width)
    logits_N_C = embedding_N_D @ weight_C_D.T
    labels = torch.arange(30) % 10
    return describe(
        logits_N_C, embedding_N_D, logits_N_C[:30], embedding_N_D[:30], labels, weight_C_D
    )


@settings(deadline=None)
@given(st.integers(1, 600), st.integers(1, 300))
def test_pooling_shares_every_unit_equally_and_keeps_the_mean(width: int, target: int) -> None:
    map_T_D = widths.pool(width, target)
    assert (map_T_D >= 0).all()
    torch.testing.assert_close(map_T_D.sum(1), torch.ones(target))
    torch.testing.assert_close(map_T_D.sum(0), torch.full((width,), target / width))


def test_pooling_averages_neighbours_or_repeats_them() -> None:
    unit = torch.tensor([1.0, 3.0, 5.0, 7.0])
    assert (widths.pool(4, 2) @ unit).tolist() == [2, 6]
    assert (widths.pool(4, 8) @ unit).tolist() == [1, 1, 3, 3, 5, 5, 7, 7]
    assert torch.equal(widths.pool(4, 4), torch.eye(4))


@pytest.mark.parametrize("rule", widths.RULES)
@pytest.mark.parametrize("width", [32, 100, 200, 512])
@pytest.mark.parametrize("parts", [FULL, CLASS_FREE])
def test_every_part_of_the_state_is_mapped_alike(rule: str, width: int, parts: Parts) -> None:
    state, map_T_D = seen(width), widths.RULES[rule](width, 128)
    before = blocks(state, parts)
    after = blocks(widths.fitted(state, Policy(10, 128, parts), rule), parts)
    for name, block in before.items():
        expected = block
        if name in ("labelled_mean", "embedding") or name == "gradient":
            expected = (block.reshape(50, -1, width) @ map_T_D.T).flatten(1)
        torch.testing.assert_close(after[name], expected, atol=1e-5, rtol=1e-4)


def test_a_policy_s_own_width_is_left_alone() -> None:
    state = seen(128)
    assert widths.fitted(state, Policy(10, 128)) is state


@pytest.mark.parametrize("width", [widths.NARROWEST - 1, widths.WIDEST + 1])
def test_a_width_that_was_not_shown_to_work_is_refused(width: int) -> None:
    with pytest.raises(
        InputError, match=rf"of {width} numbers .* 32 to 512; use another classifier"
    ):
        widths.fitted(seen(width), Policy(10, 128))


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'pool'"):
        widths.fitted(seen(64), Policy(10, 128), "poool")
