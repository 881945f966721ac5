"""Fixtures shared by all tests; they work with and without IALE_DATA in the environment."""

import signal
from pathlib import Path

import pytest

from ialelib import data


def pytest_configure() -> None:
    """Heed Ctrl-C, which a shell that begins the tests in the background has them ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def empty_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that `ialelib.data` takes for its data folder."""
    monkeypatch.setenv("IALE_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def empty_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of the project with nothing in it, as the current folder."""
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_index.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def digits() -> data.DataSet:
    """The shipped sample of MNIST: 8,000 training and 2,000 test images."""
    return data.load_data("mnist-10k")


@pytest.fixture(scope="session")
def small_digits(digits: data.DataSet) -> data.DataSet:
    """The first 600 training and 300 test images of it."""
    return data.DataSet(
        "small-digits",
        digits.train_inputs[:600],
        digits.train_labels[:600],
        digits.test_inputs[:300],
        digits.test_labels[:300],
    )


@pytest.fixture(scope="session")
def toy() -> data.DataSet:
    """Two Gaussians, 300 points to choose from and 200 to test on."""
    return data.toy_gaussians(300, 200)
