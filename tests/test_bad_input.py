"""Arguments of a wrong kind, for every public call: one line that says so, before any computing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from toys import TINY, TOY

import ialelib as iale
from ialelib.labelling import LabelStore
from ialelib.utils.errors import InputError

JUNK: dict[str, Any] = {
    "NaN": float("nan"),
    "below 0": -1,
    "a fraction": 2.5,
    "infinity": float("inf"),
    "a name": "nonsense",
    "bytes": b"x",
    "an object": object(),
    "a class": dict,
    "lists of lists": [[1, 2], [3]],
    "a table": np.zeros((2, 2)),
    "names": ["a", "b"],
    "a complex number": 1 + 2j,
    "a mapping": {"a": 1},
}
EMBEDDINGS = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
LABELLED, LABELS = np.arange(40), np.arange(40) % 4
NETWORK = nn.Sequential(nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def next_batch(**changes: Any) -> Any:
    given: dict[str, Any] = {"labelled": LABELLED, "labels": LABELS, "acq": 10}
    return iale.next_batch(embeddings=EMBEDDINGS, **given | changes)


def next_images(**changes: Any) -> Any:
    given: dict[str, Any] = {"labelled": LABELLED, "labels": LABELS, "acq": 10}
    return iale.next_batch(NETWORK, torch.zeros(300, 4, 4), **given | changes)


def rehearse(**changes: Any) -> Any:
    given: dict[str, Any] = {"labelled": LABELLED, "labels": LABELS, "strategies": ["margin"]}
    return iale.rehearse(EMBEDDINGS, **given | changes)


def extract(**changes: Any) -> Any:
    return iale.inference.extract(np.zeros((3, 8, 8), np.uint8), **changes)


def images_from(where: Any) -> Any:
    return iale.inference.images_from(where)


def run_cycle(**changes: Any) -> Any:
    return iale.run_cycle(iale.toy_gaussians(300, 200), replace(TOY, **changes), "random", 0)


def compare(**changes: Any) -> Any:
    given: dict[str, Any] = {"strategies": ["random"], "seeds": [0], "processes": 1}
    given |= {"data": iale.toy_gaussians(300, 200), "config": TOY}
    return iale.compare(**given | changes)


def train_policy(**changes: Any) -> Any:
    return iale.train_policy(iale.toy_gaussians(300, 200), replace(TINY, **changes))


def paired_tests(curves: Any) -> Any:
    return iale.paired_tests(curves)


def load_data(name: Any) -> Any:
    return iale.load_data(name)


def load_policy(policy: Any) -> Any:
    return iale.load_policy(policy)


def store(path: Any) -> Any:
    return LabelStore(path, ["a", "b"])


NAMES = [name for name in JUNK if name not in ("a class",)]
KINDS: list[tuple[Callable[..., Any], str, list[str]]] = [
    *((next_batch, argument, list(JUNK)) for argument in ("labelled", "labels", "acq", "seed")),
    *((next_batch, argument, list(JUNK)) for argument in ("candidates", "policy", "rule")),
    (next_batch, "batch_size", list(JUNK)),
    (next_images, "layer", list(JUNK)),
    (next_images, "passes", list(JUNK)),
    (next_images, "preprocess", NAMES),
    *((rehearse, argument, list(JUNK)) for argument in ("labelled", "labels", "seeds", "acq")),
    *((rehearse, argument, list(JUNK)) for argument in ("processes", "recipe")),
    *((extract, argument, list(JUNK)) for argument in ("backbone", "size", "batch_size")),
    (extract, "folder", [name for name in JUNK if name != "a name"]),
    (images_from, "where", list(JUNK)),
    *((run_cycle, argument, list(JUNK)) for argument in ("initial", "budget", "acq", "n")),
    (run_cycle, "classifier", NAMES),
    (run_cycle, "recipe", list(JUNK)),
    *((compare, argument, list(JUNK)) for argument in ("config", "data", "processes")),
    *((compare, argument, [n for n in JUNK if n != "bytes"]) for argument in ("seeds",)),
    (compare, "strategies", list(JUNK)),
    *((train_policy, argument, list(JUNK)) for argument in ("cycle", "episodes", "validation")),
    *((train_policy, argument, list(JUNK)) for argument in ("p", "ranking", "parts", "policy")),
    (train_policy, "experts", list(JUNK)),
    (paired_tests, "curves", list(JUNK)),
    (load_data, "name", list(JUNK)),
    (load_policy, "policy", list(JUNK)),
    (store, "path", [name for name in JUNK if name != "a name"]),
]
CASES = [(call, argument, junk) for call, argument, kinds in KINDS for junk in kinds]


@pytest.mark.parametrize(
    ("call", "argument", "junk"), CASES, ids=lambda value: getattr(value, "__name__", value)
)
def test_it_is_refused_in_one_line(
    call: Callable[..., Any],
    argument: str,
    junk: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as refused:
        call(**{argument: JUNK[junk]})
    assert len(str(refused.value).splitlines()) == 1
    assert not list(tmp_path.iterdir()), "files were written"


def test_these_are_more_than_150() -> None:
    assert len(CASES) > 150
