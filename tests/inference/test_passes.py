"""Several passes with dropout: their mean probabilities are what strategies and policies read."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ialelib.experts import DROPOUT, dropouts
from ialelib.inference import LearnedPolicy, next_batch
from ialelib.inference.outputs import outputs_of
from ialelib.utils.errors import InputError

LABELLED, LABELS = np.arange(40), np.arange(40) % 10


class Two(nn.Module):
    """Dropout of maps and of values, and batch normalisation, which must not change."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.maps = nn.Conv2d(1, 8, 3)
        self.norm = nn.BatchNorm2d(8)
        self.drop_maps = nn.Dropout2d(0.5)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(32, 10)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.drop_maps(self.norm(self.maps(images[:, None])).relu())
        return self.head(self.drop(maps.flatten(1)))


@pytest.fixture
def images() -> Tensor:
    return torch.rand(300, 4, 4, generator=torch.Generator().manual_seed(1))


def chosen(classifier: Callable[[Tensor], Tensor], images: Tensor, **changes: object) -> list[int]:
    given = {"labelled": LABELLED, "labels": LABELS, "acq": 10, "policy": "margin"} | changes
    return next_batch(classifier, images, **given).tolist()


def test_logits_are_those_of_the_mean_of_passes(images: Tensor) -> None:
    classifier = Two().eval()
    plain, averaged = outputs_of(classifier, [images]), outputs_of(classifier, [images], passes=200)
    assert torch.equal(plain.embedding_N_D, averaged.embedding_N_D)
    classifier.drop.train()
    classifier.drop_maps.train()
    torch.manual_seed(5)
    with torch.no_grad():
        each = torch.stack([classifier(images).softmax(1) for _ in range(2000)])
    error = (averaged.logits_N_C.exp() - each.mean(0)).abs().max()
    assert error < 5 * each.std(0).max() / 200**0.5
    torch.testing.assert_close(averaged.logits_N_C.exp().sum(1), torch.ones(300))


def test_passes_change_the_choice_and_nothing_else(images: Tensor) -> None:
    classifier = Two().train()
    statistics = classifier.norm.running_mean.clone()  # type: ignore[union-attr]
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    found = chosen(classifier, images, passes=8)
    assert torch.equal(torch.rand(3), expected), "the global generator was used"
    assert found == chosen(classifier, images, passes=8) != chosen(classifier, images)
    assert all(module.training for module in classifier.modules())
    assert torch.equal(classifier.norm.running_mean, statistics)  # type: ignore[arg-type]


def test_margin_sampling_takes_the_smallest_mean_margins(images: Tensor) -> None:
    classifier = Two()
    rest = np.arange(40, 300)
    probs_N_C = outputs_of(classifier, [images[rest]], passes=8).logits_N_C.softmax(1)
    first, second = probs_N_C.topk(2, dim=1).values.T
    smallest = rest[(first - second).argsort()[:10].numpy()]
    whole = chosen(classifier, images, passes=8, candidates=260, batch_size=300)
    assert set(whole) == set(smallest.tolist())


def test_the_strategy_of_scikit_activeml_reads_them_too(images: Tensor) -> None:
    y = np.full(300, np.nan)
    y[LABELLED] = LABELS
    given = {"X": images.numpy(), "y": y, "clf": Two(), "batch_size": 10}
    first, again, plain = (
        LearnedPolicy(random_state=0, passes=passes).query(**given).tolist() for passes in (8, 8, 1)
    )
    assert first == again != plain


def test_every_layer_of_dropout_counts() -> None:
    layers = nn.ModuleList([kind(0.5) for kind in DROPOUT])
    assert len(dropouts(layers)) == len(DROPOUT)
    assert not dropouts(nn.ModuleList([kind(0.0) for kind in DROPOUT]))


def test_what_has_no_passes_is_refused(images: Tensor) -> None:
    plain = nn.Sequential(nn.Flatten(), nn.Linear(16, 10))
    with pytest.raises(InputError, match=r"no layer like nn\.Dropout"):
        chosen(plain, images, passes=2)

    def function(batch: Tensor) -> tuple[Tensor, Tensor]:
        return plain(batch), batch.flatten(1)

    with pytest.raises(InputError, match="leave `passes` at 1"):
        chosen(function, images, passes=2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="go with a classifier; embeddings need none"):
        next_batch(labelled=LABELLED, labels=LABELS, embeddings=torch.rand(300, 8), passes=2)
    for wrong in (0, 2.5, "many"):
        with pytest.raises(InputError, match="passes must be a whole number from 1"):
            chosen(Two(), images, passes=wrong)
