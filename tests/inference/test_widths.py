"""Classifiers of any width and number of classes: served, or refused before they see the pool."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ialelib.inference.selection import next_batch
from ialelib.utils.errors import InputError

SIZE, LABELLED = 300, 40


class Counting(nn.Module):
    """A classifier that counts the images that it sees."""

    def __init__(self, width: int, classes: int, after: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, width), after)
        self.head, self.seen = nn.Linear(width, classes), 0

    def forward(self, images_N: Tensor) -> Tensor:
        """Logits, N x C."""
        self.seen += len(images_N)
        logits_N_C: Tensor = self.head(self.body(images_N))
        return logits_N_C


def batch(classifier: Counting, policy: str) -> np.ndarray:
    images = torch.rand(SIZE, 4, 4, generator=torch.Generator().manual_seed(1))
    labels = np.arange(LABELLED) % classifier.head.out_features
    return next_batch(classifier, images, np.arange(LABELLED), labels, 10, policy)


@pytest.mark.parametrize("classes", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize("width", [2, 3, 64, 1280, 4096])
@pytest.mark.parametrize("after", [nn.ReLU(), nn.Identity()])
def test_the_generalist_reads_them_all(width: int, classes: int, after: nn.Module) -> None:
    found = batch(Counting(width, classes, after), "generalist")
    assert len(np.unique(found)) == 10
    assert found.min() >= LABELLED


@pytest.mark.parametrize(
    ("policy", "width", "classes", "message"),
    [
        ("mnist-cnn", 2, 10, "embeddings of 2 dimensions .* take the generalist"),
        ("mnist-cnn", 4096, 10, "embeddings of 4096 dimensions .* take the generalist"),
        ("mnist-cnn", 128, 2, "for 10 classes, the classifier has 2; take the generalist"),
        ("mnist-cnn", 256, 1000, "for 10 classes, the classifier has 1000"),
        ("mnist-cnn-class_free", 63, 100, "embeddings of 63 dimensions"),
    ],
)
def test_others_refuse_what_they_cannot_read_before_candidates_are_seen(
    policy: str, width: int, classes: int, message: str
) -> None:
    classifier = Counting(width, classes, nn.ReLU())
    with pytest.raises(InputError, match=message):
        batch(classifier, policy)
    assert classifier.seen == LABELLED


@pytest.mark.parametrize("width", [64, 100, 512])
@pytest.mark.parametrize("classes", [2, 1000])
def test_a_class_free_policy_reads_any_number_of_classes(width: int, classes: int) -> None:
    assert len(np.unique(batch(Counting(width, classes, nn.ReLU()), "mnist-cnn-class_free"))) == 10
