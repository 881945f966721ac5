"""What a cached result is named after."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest

from ialelib.utils.cache import identity, kept_in, named
from ialelib.utils.errors import InputError

SOURCE = """
import math

SCALE = {scale}

def helper(x):
    return {helper}

def strategy(query, acq, rng):
    return helper(math.pi) * SCALE

class Network:
    width = {width}

    def forward(self, x):
        return {forward}

    @property
    def size(self):
        return {size}

    @staticmethod
    def shared(x):
        return x
"""


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., ModuleType]:
    """Modules of one name with some source: as a user who edits and runs again has them."""
    count = iter(range(100))

    def write(above: str = "", **change: object) -> ModuleType:
        values = {"scale": 1, "helper": "x", "forward": "x", "width": 3, "size": 4} | change
        path = tmp_path / f"own{next(count)}.py"
        path.write_text(above + SOURCE.format(**values))
        module = ModuleType("own")
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
        return module

    return write


def test_the_same_source_has_the_same_identity(written: Callable[..., ModuleType]) -> None:
    assert identity(written().strategy) == identity(written().strategy)
    assert identity(written().Network) == identity(written().Network)


@pytest.mark.parametrize("change", [{"scale": 2}, {"helper": "x + 1"}])
def test_an_edit_of_what_a_function_refers_to_changes_it(
    written: Callable[..., ModuleType], change: dict[str, object]
) -> None:
    assert identity(written().strategy) != identity(written(**change).strategy)


@pytest.mark.parametrize("change", [{"forward": "2 * x"}, {"width": 4}, {"size": 5}])
def test_an_edit_of_a_member_changes_its_class(
    written: Callable[..., ModuleType], change: dict[str, object]
) -> None:
    assert identity(written().Network) != identity(written(**change).Network)


def test_code_elsewhere_in_the_file_changes_nothing(written: Callable[..., ModuleType]) -> None:
    assert identity(written().strategy) == identity(written(above="# more\n").strategy)


def test_a_given_key_stands_for_the_source(written: Callable[..., ModuleType]) -> None:
    one, other = written().strategy, written(helper="x + 1").strategy
    one.cache_key = other.cache_key = "1"
    assert identity(one) == identity(other) == "strategy-1"


def test_what_has_no_source_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError, match="give it a `cache_key`"):
        identity(partial(print, 1))


def test_a_name_changes_with_any_value_and_with_own_objects(
    written: Callable[..., ModuleType],
) -> None:
    names = {
        named("x", about)
        for about in (
            {"a": 1},
            {"a": 2},
            {"a": 1, "b": None},
            {"a": written().strategy},
            {"a": written(scale=3).strategy},
        )
    }
    assert len(names) == 5
    assert named("x", {"a": 1, "b": 2}) == named("x", {"b": 2, "a": 1})


def test_without_a_folder_nothing_stays(tmp_path: Path) -> None:
    with kept_in(tmp_path) as folder:
        assert folder == tmp_path
    with kept_in(None) as folder:
        (folder / "file").touch()
    assert not folder.exists()
