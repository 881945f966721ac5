"""The plain reference: one episode of Algorithm 1 as a textbook would write it.

The yardstick for the speed and the memory of `ialelib`, and an oracle for its results
(`tests/test_reference.py`): float32, one classifier after the other, nothing stacked or reused.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from ialelib.data import DataSet

LOG = logging.getLogger(__name__)
Policy = Callable[[Tensor], Tensor]  # states (N x F) to scores (N)


def to_tensor(images: np.ndarray) -> Tensor:
    """A batch of uint8 images, N x H x W or N x H x W x 3, as float32 N x channels x H x W.

    The scaling to [-1, 3] is that of `ialelib.models.to_float`.
    """
    channels_last = torch.from_numpy(images.reshape(*images.shape[:3], -1))
    return channels_last.permute(0, 3, 1, 2).contiguous().float() / 63.75 - 1.0


class Images(Dataset[tuple[Tensor, Tensor]]):
    """Labelled images, converted one at a time."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images, torch.from_numpy(labels)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        return to_tensor(self.images[index : index + 1])[0], self.labels[index]


class CNN(nn.Module):
    """The classifier of Sec. 4.1; `shape` is that of one image, (H, W) or (H, W, 3)."""

    def __init__(self, classes: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        height, width = ((size - 4) // 2 for size in shape[:2])
        self.conv1 = nn.Conv2d(shape[2] if len(shape) == 3 else 1, 32, 4)
        self.conv2 = nn.Conv2d(32, 32, 2)
        self.dropout1 = nn.Dropout(0.25)
        self.dense = nn.Linear(32 * height * width, 128)
        self.dropout2 = nn.Dropout(0.5)
        self.head = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (N, C) and embeddings (N, 128)."""
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.max_pool2d(x, 2)
        x = torch.flatten(self.dropout1(x), 1)
        embedding = F.relu(self.dense(x))
        return self.head(self.dropout2(embedding)), embedding


def fit(images: np.ndarray, labels: np.ndarray, classes: int, epochs: int, seed: int) -> CNN:
    """A classifier trained from fresh weights with Adam, in evaluation mode after."""
    torch.manual_seed(seed)
    model = CNN(classes, images.shape[1:]).train()
    loader = DataLoader(Images(images, labels), batch_size=64, shuffle=True)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(epochs):
        running = 0.0
        for inputs, targets in loader:
            optimiser.zero_grad()
            logits, _ = model(inputs)
            loss = F.cross_entropy(logits, targets)
            loss.backward()
            optimiser.step()
            running += loss.item()
        LOG.debug("epoch %d: loss %.3f", epoch + 1, running / len(loader))
    return model.eval()


def predict(model: nn.Module, images: np.ndarray) -> tuple[Tensor, Tensor]:
    """Logits (N, C) and embeddings (N, D) of all images in one batch."""
    with torch.no_grad():
        return model(to_tensor(images))


def accuracy(model: nn.Module, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of the images that the classifier gets right."""
    return (predict(model, images)[0].argmax(1) == torch.from_numpy(labels)).float().mean().item()


def entropy(logits_N_C: Tensor, acq: int) -> Tensor:
    """Largest entropy of the predicted distribution (A.1.1, 7): `acq` positions in the sub-pool."""
    entropy_N = -(F.softmax(logits_N_C, dim=1) * F.log_softmax(logits_N_C, dim=1)).sum(1)
    return entropy_N.topk(acq).indices


def confidence(logits_N_C: Tensor, acq: int) -> Tensor:
    """Lowest probability of the most likely class (A.1.1, 6)."""
    return F.softmax(logits_N_C, dim=1).amax(dim=1).topk(acq, largest=False).indices


def variation_ratio(votes_M_N: Tensor) -> Tensor:
    """1 - m/M for the m of M predicted labels that agree with the mode, N (Eqs. 3 and 4)."""
    return 1.0 - (votes_M_N == votes_M_N.mode(dim=0).values).float().mean(0)


def mc_dropout(model: nn.Module, images: np.ndarray, acq: int) -> Tensor:
    """Largest variation ratio of 20 passes with dropout (A.1.1, 2); evaluation mode after."""
    model.train()
    votes_M_N = torch.stack([predict(model, images)[0].argmax(1) for _ in range(20)])
    model.eval()
    return variation_ratio(votes_M_N).topk(acq).indices


def ensemble(models: Sequence[nn.Module], images: np.ndarray, acq: int) -> Tensor:
    """Largest variation ratio of several classifiers (A.1.1, 3)."""
    votes_M_N = torch.stack([predict(model, images)[0].argmax(1) for model in models])
    return variation_ratio(votes_M_N).topk(acq).indices


def coreset(embedding_N_D: Tensor, labelled_L_D: Tensor, acq: int) -> Tensor:
    """Greedy k-centre: the sample farthest from all centres, again and again (A.1.1, 4)."""
    nearest_N = torch.cdist(embedding_N_D, labelled_L_D).min(dim=1).values
    chosen: list[int] = []
    for _ in range(acq):
        chosen.append(int(nearest_N.argmax()))
        distance_N = torch.cdist(embedding_N_D, embedding_N_D[chosen[-1:]])[:, 0]
        nearest_N = torch.minimum(nearest_N, distance_N)
        nearest_N[chosen] = -1.0
    return torch.tensor(chosen)


def gradient_embedding(logits_N_C: Tensor, embedding_N_D: Tensor) -> Tensor:
    """Gradient of the pseudo-label loss at the last layer, N x C*D (Ash et al. 2020, Eq. 1)."""
    probs_N_C = F.softmax(logits_N_C, dim=1)
    pseudo_N_C = F.one_hot(probs_N_C.argmax(1), probs_N_C.shape[1])
    return torch.einsum("nc,nd->ncd", probs_N_C - pseudo_N_C, embedding_N_D).flatten(1)


def badge(logits_N_C: Tensor, embedding_N_D: Tensor, acq: int, rng: np.random.Generator) -> Tensor:
    """k-means++ on gradient embeddings, from the largest (Ash et al. 2020, Alg. 1; A.1.1, 5)."""
    gradient = gradient_embedding(logits_N_C, embedding_N_D).double()
    chosen = [int(gradient.norm(dim=1).argmax())]
    squared_N = torch.full((len(gradient),), torch.inf, dtype=torch.float64)
    while len(chosen) < acq:
        distance_N = (gradient - gradient[chosen[-1]]).norm(dim=1)
        squared_N = torch.minimum(squared_N, distance_N**2)
        chosen.append(int(rng.choice(len(gradient), p=(squared_N / squared_N.sum()).numpy())))
    return torch.tensor(chosen)


def encode(unlabelled: tuple[Tensor, ...], labelled: tuple[Tensor, ...], labels: Tensor) -> Tensor:
    """The state of Eq. 1, N x (2D + 3C + C*D), from what `predict` returns for both sets."""
    logits_N_C, embedding_N_D = unlabelled
    n, classes = logits_N_C.shape
    truth_C = F.one_hot(labels, classes).float().mean(0)
    predicted_C = F.one_hot(labelled[0].argmax(1), classes).float().mean(0)
    prediction_N_C = F.one_hot(logits_N_C.argmax(1), classes).float()
    shared = torch.cat([labelled[1].mean(0), truth_C, predicted_C]).repeat(n, 1)
    gradient_N_CD = gradient_embedding(logits_N_C, embedding_N_D)
    return torch.cat([shared, embedding_N_D, prediction_N_C, gradient_N_CD], dim=1)


@dataclass(frozen=True)
class Setting:
    """The numbers of Sec. 4.2; `p` is the probability of following the best expert."""

    initial: int = 20
    budget: int = 1000
    acq: int = 10
    n: int = 100
    validation: int = 100
    epochs: int = 100
    p: float = 0.5


@dataclass(frozen=True)
class Step:
    """One acquisition's record: states (N x F), targets (N), and what each expert came to."""

    state: Tensor
    target: Tensor  # 1 for the samples that the best expert chose
    sub_pool: np.ndarray  # n indices into the training set, as are batches and `taken`
    batches: dict[str, np.ndarray]
    validation: dict[str, float]  # accuracy of each expert's temporary classifier
    test: dict[str, float]
    taken: np.ndarray


def episode(data: DataSet, config: Setting, seed: int, policy: Policy | None = None) -> list[Step]:
    """One episode (Alg. 1, lines 3 to 17) without the policy's update (line 16)."""
    rng = np.random.default_rng(seed)
    images, labels = data.train_inputs, data.train_labels

    def train(indices: np.ndarray, member: int = 0) -> CNN:
        return fit(images[indices], labels[indices], data.classes, config.epochs, seed + member)

    valid, rest = np.split(rng.permutation(len(labels)), [config.validation])
    by_class = [list(rest[labels[rest] == label]) for label in range(data.classes)]
    labelled = np.array([by_class[i % data.classes].pop() for i in range(config.initial)])
    steps: list[Step] = []
    while len(labelled) < config.budget:
        sub_pool = rng.choice(np.setdiff1d(rest, labelled), config.n, replace=False)
        models = [train(labelled, member) for member in range(5)]
        state, choices = propose(data, models, sub_pool, labelled, config.acq, rng)
        batches = {name: sub_pool[chosen.numpy()] for name, chosen in choices.items()}
        validation, test = {}, {}
        for name, batch in batches.items():
            temporary = train(np.append(labelled, batch))
            validation[name] = accuracy(temporary, images[valid], labels[valid])
            test[name] = accuracy(temporary, data.test_inputs, data.test_labels)
        best = max(validation, key=validation.__getitem__)
        target = F.one_hot(choices[best], config.n).sum(0).float()
        taken = batches[best]
        if policy is not None and rng.random() >= config.p:
            taken = sub_pool[policy(state).topk(config.acq).indices.numpy()]
        steps.append(Step(state, target, sub_pool, batches, validation, test, taken))
        labelled = np.append(labelled, taken)
    return steps


def propose(
    data: DataSet,
    models: Sequence[nn.Module],
    sub_pool: np.ndarray,
    labelled: np.ndarray,
    acq: int,
    rng: np.random.Generator,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The state, and what each expert would label; the first of `models` is the classifier."""
    images = data.train_inputs[sub_pool]
    logits, embedding = predict(models[0], images)
    known = predict(models[0], data.train_inputs[labelled])
    labels = torch.from_numpy(data.train_labels[labelled])
    return encode((logits, embedding), known, labels), {
        "mc_dropout": mc_dropout(models[0], images, acq),
        "ensemble": ensemble(models, images, acq),
        "coreset": coreset(embedding, known[1], acq),
        "badge": badge(logits, embedding, acq, rng),
        "confidence": confidence(logits, acq),
        "entropy": entropy(logits, acq),
    }
