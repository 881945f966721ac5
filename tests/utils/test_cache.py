"""What a cached result is named after, and when it is believed."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest

from ialelib.utils import cache
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


# Damage

TABLE = pd.DataFrame({"labels": [10, 20, 30], "accuracy": [0.1, 1 / 3, 0.5], "chosen": "1 2"})
DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "a digit": lambda whole: whole.replace(b"0.5", b"0.6"),
    "a line lacks": lambda whole: b"".join(whole.splitlines(True)[:2] + whole.splitlines(True)[3:]),
    "the last line lacks": lambda whole: b"".join(whole.splitlines(True)[:-1]),
    "two lines change places": lambda whole: b"".join(
        [whole.splitlines(True)[i] for i in (0, 2, 1, 3, 4)]
    ),
    "a line twice": lambda whole: whole.replace(b"10,", b"10,0.1,1 2,x\n10,"),
    "truncated": lambda whole: whole[: len(whole) // 2],
    "the last byte": lambda whole: whole[:-1],
    "more behind": lambda whole: whole + b"40,0.6,3,x\n",
    "empty": lambda whole: b"",
    "zeros": lambda whole: b"\0" * len(whole),
    "a page": lambda whole: b"<!DOCTYPE html><html></html>",
    "other ends of lines": lambda whole: whole.replace(b"\n", b"\r\n"),
    "another column": lambda whole: whole.replace(b"labels", b"label"),
    "a bit of the digest": lambda whole: whole[:-2] + bytes([whole[-2] ^ 1]) + b"\n",
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_table_is_set_aside_and_computed_again(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "a.csv"
    tasks = {path: TABLE.copy}
    first = cache.run(tasks, 1, "tables")
    whole = path.read_bytes()
    path.write_bytes(DAMAGE[damage](whole))
    with pytest.warns(UserWarning, match=r"a\.csv is damaged: kept as a\.csv\.damaged"):
        again = cache.run(tasks, 1, "tables")
    pd.testing.assert_frame_equal(again, first)
    assert path.read_bytes() == whole
    assert (tmp_path / "a.csv.damaged").read_bytes() == DAMAGE[damage](whole)


def test_a_whole_table_is_not_computed_again(tmp_path: Path) -> None:
    def never() -> pd.DataFrame:
        raise AssertionError("computed again")

    first = cache.run({tmp_path / "a.csv": TABLE.copy}, 1, "tables")
    pd.testing.assert_frame_equal(cache.run({tmp_path / "a.csv": never}, 1, "tables"), first)
    kept = cache.read_table(tmp_path / "a.csv")  # by hand, with the digest in its last line
    pd.testing.assert_frame_equal(kept, first)
