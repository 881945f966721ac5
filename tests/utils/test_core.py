"""The digest of the core: what changes it, and that nothing which decides results is left out."""

import ast
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from toys import TINY

from ialelib import rollout, toy_gaussians, train_policy
from ialelib.params.learning import ToyGaussians
from ialelib.results import provenance
from ialelib.utils import cache
from ialelib.utils.core import MODULES, PACKAGE, core, digest_of

CODE = '''
def double(x: int) -> int:
    """Twice the number."""
    return [2 * x, f"{x!r:>5}"]
'''
HELPERS = ("checks", "cache", "errors", "extras", "files", "machine", "progress", "tensors")
"""Modules of utils that check, keep and show, and decide no result."""


def test_it_changes_with_code_alone() -> None:
    first = digest_of({"a.py": CODE})
    assert digest_of({"a.py": CODE.replace("Twice the number", "2x")}) == first
    assert digest_of({"a.py": CODE.replace("    return", "\n    # at once\n    return")}) == first
    assert digest_of({"a.py": CODE.replace('    """Twice the number."""\n', "")}) == first
    changes = (("2 *", "3 *"), ("int)", "float)"), ("!r", "!s"), (">5", ">6"), ("double", "twice"))
    others = {digest_of({"a.py": CODE.replace(*change)}) for change in changes}
    assert len(others | {first}) == 1 + len(changes)
    assert digest_of({"b.py": CODE}) != first
    assert digest_of({"a.py": "x = [1, [2]]"}) != digest_of({"a.py": "x = [1, 2]"})


def test_whatever_the_core_imports_is_in_it_or_decides_nothing() -> None:
    files = [PACKAGE / name for name in MODULES]
    assert all(path.exists() for path in files)
    inside = {path.with_suffix("").relative_to(PACKAGE).as_posix() for path in files}
    allowed = inside | {f"utils/{name}" for name in (*HELPERS, "core", "workers")}
    allowed |= {"experiments/paired", "metrics"}  # that run and compare cycles
    for file in files:
        for source in [file] if file.is_file() else file.rglob("*.py"):
            for node in ast.walk(ast.parse(source.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ialelib"):
                    place = (node.module or "").replace(".", "/").partition("/")[2]
                    whole = [place] if place.partition("/")[0] in inside else []
                    found = whole or ([place] if (PACKAGE / f"{place}.py").exists() else [])
                    found = found or [f"{place}/{name.name}".strip("/") for name in node.names]
                    for one in found:
                        known = one in allowed or one.partition("/")[0] in inside
                        assert known, f"{source.name} imports {one}"


def test_tables_and_policies_carry_it(tmp_path: Path, toy_settings: ToyGaussians) -> None:
    path = tmp_path / "a.csv"
    assert set(cache.run({path: lambda: pd.DataFrame({"x": [1]})}, 1, "x")["core"]) == {core()}
    body = path.read_text().splitlines()[:2]
    (tmp_path / "old.csv").write_text("x,commit\n1,abc\n")
    assert len(body) == 2
    assert set(cache.read_table(tmp_path / "old.csv")["core"]) == {"unknown"}
    assert provenance(toy_settings)["core"] == core()
    policy, _ = train_policy(toy_gaussians(300, 200), TINY)
    assert policy.about["core"] == core()


def test_a_resumed_training_names_the_code_of_all_its_episodes(tmp_path: Path) -> None:
    data = toy_gaussians(300, 200)
    train_policy(data, replace(TINY, episodes=2), tmp_path)
    first = next(tmp_path.rglob("episode-001.safetensors"))
    found = rollout.load_rollout(first)
    assert found.core == core()
    rollout.save_rollout(replace(found, core="older"), first)
    policy, _ = train_policy(data, replace(TINY, episodes=3), tmp_path)
    assert policy.about["core"] == "; ".join(sorted(["older", core()]))


@pytest.fixture
def toy_settings() -> ToyGaussians:
    import yaml

    text = (PACKAGE.parent / "params/quick/01_toy_gaussians.yaml").read_text()
    return ToyGaussians.checked(yaml.safe_load(text))
