"""When kernels train the CNN, and that torch trains the same one where they do not."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numba.core.errors import TypingError
from toys import same_weights

from ialelib import kernels, recipes, training
from ialelib.kernels import trainer
from ialelib.models import CLASSIFIERS, CNN, Architecture
from ialelib.recipes import Recipe, TrainJob
from ialelib.utils.errors import InputError

PLAIN = Recipe(3)
WARMUP = Recipe(steps=5, batch_size=16, lr=4e-3, warmup=0.3, cosine=True)


def job(shape: tuple[int, ...] = (9, 9), how: Recipe = PLAIN, name: str = "cnn") -> TrainJob:
    """70 images of noise."""
    images = np.random.default_rng(1).integers(0, 256, (70, *shape), dtype=np.uint8)
    return TrainJob(Architecture(name, 10, shape), images, np.arange(70) % 10, how, 0, 0)


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IALE_KERNELS", "off")


@pytest.mark.parametrize(
    ("shape", "how"), [((28, 28), PLAIN), ((28, 28), WARMUP), ((9, 8, 3), WARMUP)]
)
def test_torch_trains_the_same_up_to_rounding(
    shape: tuple[int, ...], how: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    some, found = job(shape, how), training.fit(job(shape, how))
    monkeypatch.setenv("IALE_KERNELS", "off")
    expected, start = training.fit(some), some.fresh().state_dict()
    assert not same_weights(found, expected), "the same operators"
    for name, weights in expected.state_dict().items():
        moved = (weights - start[name]).norm()
        assert float((found.state_dict()[name] - weights).norm() / moved) < 0.01, name


def trained_by(monkeypatch: pytest.MonkeyPatch, some: TrainJob) -> str:
    used = []
    monkeypatch.setattr(kernels, "_compiled", lambda: True)
    monkeypatch.setattr(kernels, "_train", lambda model, job: used.append("kernels"))
    monkeypatch.setattr(training, "_fit_torch", lambda model, job: used.append("torch"))
    training.fit(some)
    (one,) = used
    return one


@pytest.mark.parametrize("value", [None, "", "on", "off"])
def test_the_switch(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("IALE_KERNELS", raising=False)
    if value is not None:
        monkeypatch.setenv("IALE_KERNELS", value)
    for shape in ((9, 9), (9, 8, 3)):
        assert trained_by(monkeypatch, job(shape)) == ("torch" if value == "off" else "kernels")


@pytest.mark.parametrize("name", ["cnn", "mlp"])
@pytest.mark.parametrize("value", ["no", "OFF", "0"])
def test_another_value_of_the_switch_is_refused(
    value: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IALE_KERNELS", value)
    with pytest.raises(InputError, match=f"IALE_KERNELS must be on or off, not '{value}'"):
        training.fit(job(name=name))


def test_other_classifiers_and_numbers_use_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    some = job()
    assert trained_by(monkeypatch, job(name="mlp")) == "torch"
    floats = replace(some, inputs=some.inputs[:, None].astype(np.float32))
    assert trained_by(monkeypatch, floats) == "torch"

    class Own(CNN):
        """One that may compute something else."""

    monkeypatch.setitem(CLASSIFIERS, "cnn", Own)
    assert trained_by(monkeypatch, some) == "torch"


def test_what_does_not_fit_gets_the_error_of_torch() -> None:
    with pytest.raises(RuntimeError, match="to have 1 channels"):
        training.fit(replace(job(), inputs=job((9, 9, 3)).inputs))


def test_float32_on_every_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = job()
    auto = replace(exact, recipe=replace(exact.recipe, precision="auto"))
    monkeypatch.setattr(recipes, "has_bfloat16", lambda *_: True)
    assert same_weights(training.fit(auto), training.fit(exact))


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A compiler that fails, and whether it does is not known yet."""

    def fail(model: CNN, job: TrainJob) -> None:
        raise TypingError("no such thing\nin this line")

    monkeypatch.setattr(trainer, "train", fail)
    kernels._compiled.cache_clear()
    yield
    kernels._compiled.cache_clear()


def test_torch_where_kernels_cannot_be_compiled(
    broken: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(UserWarning, match="trained by torch") as said:
        found = training.fit(job())
    (warning,) = said
    assert "\n" not in str(warning.message)
    assert "no such thing" in str(warning.message)
    assert same_weights(training.fit(job()), found), "and a second warning would be an error"
    monkeypatch.setenv("IALE_KERNELS", "off")
    assert same_weights(training.fit(job()), found)


def test_the_switch_silences_a_broken_compiler(broken: None, no_kernels: None) -> None:
    training.fit(job())


def test_torch_where_numba_cannot_be_imported() -> None:
    script = """
import sys, numpy as np
sys.modules["numba"] = None
from ialelib.training import fit
from ialelib.models import Architecture
from ialelib.recipes import Recipe, TrainJob
images = np.zeros((2, 9, 9), np.uint8)
for _ in range(2):
    fit(TrainJob(Architecture("cnn", 2, (9, 9)), images, np.arange(2), Recipe(1), 0, 0))
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("UserWarning") == 1
    assert "ModuleNotFoundError: import of numba halted" in run.stderr
