"""A digest of the code that decides results, which tables and policies carry beside the commit."""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
MODULES = (
    *("data.py", "models.py", "recipes.py", "training.py", "kernels", "probe.py"),
    *("experts.py", "greedy.py", "clusters.py", "coverage.py", "fisher.py"),
    *("state.py", "policy.py", "features.py", "generalist.py", "oracle.py"),
    *("cycle.py", "rollout.py", "dagger.py", "experiments/alil.py"),
    *("utils/adam.py", "utils/cpu.py", "utils/rows.py", "utils/seeds.py"),
)
"""Files and folders of the package: a change of their code may change accuracies and choices."""
UNKNOWN = "unknown"
"""What was computed before the digest was kept."""
SILENT = ("ctx", "kind", "type_comment", "type_params")
"""Fields of a syntax tree that say nothing of what is computed, or that some versions lack."""


@cache
def core() -> str:
    """Ten digits that change with the code of `MODULES`, not with their comments or docstrings."""
    paths = [PACKAGE / name for name in MODULES]
    files = [file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py"))]
    texts = {file.relative_to(PACKAGE).as_posix(): file.read_text("utf-8") for file in files}
    return digest_of(texts)


def digest_of(sources: dict[str, str]) -> str:
    """The same for source code by the names of its files."""
    digest = hashlib.sha256()
    for name, source in sorted(sources.items()):
        digest.update("\0".join([name, *_told(ast.parse(source)), ""]).encode())
    return digest.hexdigest()[:10]


def _told(thing: object) -> Iterator[str]:
    """A syntax tree as texts, in order, without texts that stand alone as statements."""
    if isinstance(thing, ast.Expr) and isinstance(thing.value, ast.Constant):
        return
    if isinstance(thing, ast.AST):
        yield type(thing).__name__
        for name, value in ast.iter_fields(thing):
            if name not in SILENT and value not in (None, []):
                yield name
                yield from _told(value)
    elif isinstance(thing, Iterable) and not isinstance(thing, str | bytes):
        for part in thing:
            yield from _told(part)
        yield "end"
    else:
        yield repr(thing)
