"""Values and surroundings that once changed an answer without a word."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import ialelib as iale
from ialelib.cycle import CycleConfig
from ialelib.inference import LearnedPolicy, images_from, next_batch
from ialelib.inference.outputs import outputs_of
from ialelib.utils.errors import InputError

EMBEDDINGS = np.random.default_rng(0).normal(size=(300, 16)).astype(np.float32)
IMAGES = torch.rand(300, 4, 4, generator=torch.Generator().manual_seed(1))
LABELLED, LABELS = np.arange(40), np.arange(40) % 4
STRATEGIES = ["auto", "badge", "coreset", "coverage", "entropy", "margin", "typiclust", "uherding"]


def chosen(policy: str = "auto", **changes: Any) -> list[int]:
    given: dict[str, Any] = {"embeddings": EMBEDDINGS, "labelled": LABELLED, "labels": LABELS}
    return next_batch(policy=policy, acq=8, **given | changes).tolist()


@pytest.mark.parametrize("policy", STRATEGIES)
def test_autocast_around_a_call_changes_nothing(policy: str) -> None:
    expected = chosen(policy)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert chosen(policy) == expected
        assert torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("policy", STRATEGIES)
@pytest.mark.parametrize("scale", [1e20, 1e30])
def test_values_too_large_to_compare_are_refused(policy: str, scale: float) -> None:
    broken = EMBEDDINGS.copy()
    broken[200] *= scale
    with pytest.raises(InputError, match="embeddings hold values too large to be squared"):
        chosen(policy, embeddings=broken)


def test_the_users_default_type_survives_threads() -> None:
    expected = chosen()
    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda _: chosen(), range(16)))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert found == [expected] * 16


def test_gpus_keep_their_random_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    seeding = Mock()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeding)
    iale.load_policy("mnist-cnn")
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    seeding.reset_mock()
    outputs_of(net, [IMAGES], passes=3)
    iale.run_cycle(
        iale.toy_gaussians(300, 200), CycleConfig("toy_mlp", budget=30, n=50), "random", 0
    )
    seeding.assert_not_called()


@pytest.mark.parametrize("off", [torch.no_grad, torch.inference_mode])
def test_classifiers_learn_where_gradients_are_off(off: Any) -> None:
    data, config = iale.toy_gaussians(300, 200), CycleConfig("toy_mlp", budget=30, n=50)
    expected = iale.run_cycle(data, config, "margin", 0)["accuracy"].tolist()
    with off():
        assert iale.run_cycle(data, config, "margin", 0)["accuracy"].tolist() == expected


def test_sets_are_refused_as_they_have_no_order(tmp_path: Path) -> None:
    net, y = nn.Sequential(nn.Flatten(), nn.Linear(16, 4)), [0, 1, *[np.nan] * 298]
    for call in (
        lambda: images_from({tmp_path}),
        lambda: iale.labelling.LabelStore(tmp_path / "x.db", {"a", "b"}),
        lambda: LearnedPolicy(classes={0, 1, 2, 3}).query(IMAGES.numpy(), y, clf=net),
    ):
        with pytest.raises(InputError, match="a set has no order"):
            call()


def test_masked_values_are_refused() -> None:
    with pytest.raises(InputError, match="labels holds masked values"):
        chosen(labels=np.ma.array(LABELS, mask=LABELS == 1))
    with pytest.raises(InputError, match="holds masked values"):
        chosen(embeddings=np.ma.array(EMBEDDINGS, mask=EMBEDDINGS > 2))
    assert chosen(labels=np.ma.array(LABELS)) == chosen()


def test_small_integers_of_numpy_count_as_whole_numbers() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 10))
    given = (net, IMAGES, LABELLED, LABELS)
    one = next_batch(*given, acq=np.uint8(30), policy="mnist-cnn")
    assert one.tolist() == next_batch(*given, acq=30, policy="mnist-cnn").tolist()
    config = CycleConfig("toy_mlp", np.uint8(200), np.uint8(250), np.uint8(10), n=50)  # type: ignore[arg-type]
    assert config == CycleConfig("toy_mlp", 200, 250, 10, n=50)
    with pytest.raises(InputError, match="needs 290 training samples"):
        config.check(iale.toy_gaussians(280, 200))


@pytest.mark.parametrize(
    "strange",
    [
        torch.eye(300, 16).to_sparse(),
        torch.empty(300, 16, device="meta"),
    ],
    ids=["sparse", "meta"],
)
def test_tensors_that_are_not_there_are_refused(strange: Tensor) -> None:
    with pytest.raises(InputError, match="dense and in memory"):
        chosen(embeddings=strange)
    with pytest.raises(InputError, match="labels"):
        chosen(labels=torch.empty(40, device="meta"))


# Classifiers


class Beside(nn.Module):
    """Features, and a head in some form beside them."""

    def __init__(self, form: str) -> None:
        super().__init__()
        self.embed, self.one, self.form = nn.Linear(16, 32), nn.Linear(32, 1), form
        self.map = nn.Conv2d(32, 4, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.embed(images.flatten(1))
        forms = {
            "column": lambda: self.one(features),
            "row": lambda: self.one(features)[:, 0],
            "map": lambda: self.map(features[:, :, None, None]),
        }
        return features, forms[self.form]()


@pytest.mark.parametrize("form", ["column", "row", "map"])
def test_features_are_not_taken_for_logits(form: str) -> None:
    with pytest.raises(InputError, match=r"features beside|tensors that may be its logits"):
        outputs_of(Beside(form), [IMAGES])


def test_dropout_in_transformers_counts() -> None:
    """Whose fast path would leave it out."""

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.5, batch_first=True)
            self.head = nn.Linear(16, 4)

        def forward(self, images: Tensor) -> Tensor:
            return self.head(self.layer(images).flatten(1))

    net = Transformer().eval()
    plain, averaged = (
        outputs_of(net, [IMAGES], layer="head", passes=passes).logits_N_C.softmax(1)
        for passes in (1, 50)
    )
    assert (plain - averaged).abs().max() > 0.02
    assert torch.backends.mha.get_fastpath_enabled()


def test_each_batch_of_images_has_masks_of_its_own() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.Dropout(0.5), nn.Linear(8, 4))
    twice = outputs_of(net, [IMAGES[:50], IMAGES[:50]], passes=2).logits_N_C
    assert not torch.equal(twice[:50], twice[50:])


def test_nan_is_named_before_layers_are() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 4), nn.LogSoftmax(1))
    broken = IMAGES.clone()
    broken[3, 0, 0] = torch.nan
    with pytest.raises(InputError, match="logits hold NaN or infinite values"):
        outputs_of(net, [broken])


# Files


def test_deep_and_damaged_image_files_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 70, np.uint16)).save(tmp_path / "deep.png")
    (tmp_path / "broken.ppm").write_bytes(b"P6\n4 x\n255\n")
    for name, message in (("deep.png", "more than 8 bits"), ("broken.ppm", "no readable image")):
        with pytest.raises(InputError, match=message):
            images_from([tmp_path / name])[0]


@pytest.mark.parametrize("path", ["x" * 5000, "a\0b"])
def test_paths_that_no_file_can_have_are_refused(path: str, tmp_path: Path) -> None:
    for call in (
        lambda: images_from(path),
        lambda: images_from([path]),
        lambda: iale.labelling.LabelStore(tmp_path / path, ["a", "b"]),
        lambda: iale.save_policy(iale.load_policy("generalist"), tmp_path / path),
    ):
        with pytest.raises(InputError):
            call()


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder; name a file in it"):
        iale.save_policy(iale.load_policy("generalist"), tmp_path)
