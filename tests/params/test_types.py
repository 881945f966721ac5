"""Names of strategies: where the generalist, the oracle and "policy" are among them."""

import pytest
from pydantic import TypeAdapter, ValidationError

from ialelib.params.types import BaselineName, StrategyName
from ialelib.utils.errors import InputError


@pytest.mark.parametrize("name", ["random", "coverage", "generalist", "oracle"])
def test_every_strategy_may_be_compared(name: str) -> None:
    for kind in (StrategyName, BaselineName):
        assert TypeAdapter(kind).validate_python(name) == name


def test_the_policy_of_a_run_is_no_baseline() -> None:
    assert TypeAdapter(StrategyName).validate_python("policy") == "policy"
    with pytest.raises((InputError, ValidationError), match="unknown strategy 'policy'"):
        TypeAdapter(BaselineName).validate_python("policy")
