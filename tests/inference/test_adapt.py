"""Other embedding widths than a policy's."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ialelib.inference import adapt
from ialelib.policy import Policy
from ialelib.state import CLASS_FREE, FULL, State, StateParts, blocks, describe, encode
from ialelib.utils.errors import InputError
from ialelib.utils.rows import read


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
    map_T_D = adapt.pool(width, target)
    assert (map_T_D >= 0).all()
    torch.testing.assert_close(map_T_D.sum(1), torch.ones(target))
    torch.testing.assert_close(map_T_D.sum(0), torch.full((width,), target / width))


def test_pooling_averages_neighbours_or_repeats_them() -> None:
    unit = torch.tensor([1.0, 3.0, 5.0, 7.0])
    assert (adapt.pool(4, 2) @ unit).tolist() == [2, 6]
    assert (adapt.pool(4, 8) @ unit).tolist() == [1, 1, 3, 3, 5, 5, 7, 7]
    assert torch.equal(adapt.pool(4, 4), torch.eye(4))


@pytest.mark.parametrize("rule", adapt.RULES)
@pytest.mark.parametrize("width", [64, 100, 200, 512])
@pytest.mark.parametrize("parts", [FULL, CLASS_FREE])
def test_every_part_is_mapped_alike_and_has_the_scale_of_training(
    rule: str, width: int, parts: StateParts
) -> None:
    state, policy, map_T_D = seen(width), Policy(10, 128, parts), adapt.RULES[rule](width, 128)
    policy.scale.fill_(3.0)
    before, after = (blocks(one, parts) for one in (state, adapt.adapted(state, policy, rule)))
    embedding = before["embedding"] @ map_T_D.T
    factor = 3 / embedding.square().mean().sqrt()
    assert after["embedding"].square().mean().sqrt() == pytest.approx(3)
    for name in ("labelled_mean", "embedding", "gradient"):
        mapped = (before[name].reshape(50, -1, width) @ map_T_D.T).flatten(1)
        if name == "gradient" and parts == CLASS_FREE:
            factor = 3 / mapped.square().mean().sqrt()
        torch.testing.assert_close(after[name], factor * mapped, atol=1e-5, rtol=1e-4)
    for name in before.keys() - {"labelled_mean", "embedding", "gradient"}:
        assert torch.equal(after[name], before[name])


@pytest.mark.parametrize("width", [100, 128])
@pytest.mark.parametrize("parts", [FULL, CLASS_FREE])
def test_the_scale_of_the_last_layers_means_nothing(width: int, parts: StateParts) -> None:
    state, policy = seen(width), Policy(10, 128, parts)
    same = replace(
        state,
        labelled_mean_D=8 * state.labelled_mean_D,
        embedding_N_D=8 * state.embedding_N_D,
        head_weight_C_D=state.head_weight_C_D / 8,
    )
    one, other = (encode(adapt.adapted(each, policy), parts) for each in (state, same))
    torch.testing.assert_close(one, other)


def test_embeddings_of_zeros_stay_zero() -> None:
    state = replace(seen(64), embedding_N_D=torch.zeros(50, 64))
    assert not read(adapt.adapted(state, Policy(10, 128)).embedding_N_D).any()


@pytest.mark.parametrize("width", [adapt.NARROWEST - 1, adapt.WIDEST + 1])
def test_a_width_that_was_not_shown_to_work_is_refused(width: int) -> None:
    with pytest.raises(
        InputError, match=rf"of {width} dimensions .* 64 to 512; take the generalist"
    ):
        adapt.adapted(seen(width), Policy(10, 128))


def test_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="did you mean 'pool'"):
        adapt.adapted(seen(64), Policy(10, 128), "poool")
