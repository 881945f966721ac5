"""What the generalist knows of each candidate: free of scale, width and number of classes.

Distances are between directions: embeddings centred by the candidates' mean and divided by their
lengths. Their unit, sigma, is the median distance between candidates. `NAMES` lists all features in
order; those of `Batch` change with every sample that is chosen.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ialelib.experts import margins, residuals

NEAREST = 5
"""Neighbours that count."""
REFERENCES = 1000
"""Candidates, and labelled samples, that pairs are made with, at most."""
RADII = 0.75, 0.45
"""Of the wide and the narrow kernel, in units of sigma."""
SMALLEST = 0.15
"""Least radius of the shrinking kernel, in units of sigma; the largest is the wide one's."""
SAME = 0.01
"""Distance that may be rounding."""
NOISE = 0.1
"""Variance of a label around the Gaussian process, whose own is 1."""
ROUNDING = 1e-3
"""Spread of a feature, as a share of its mean, that may be rounding."""
STATIC = (
    "margin",
    "entropy",
    "confidence",
    "length",
    "labelled_distance",
    "own_class_distance",
    "isolation",
    "density",
    "class_share_labelled",
    "class_share_predicted",
    "contradiction",
    "residual",
    "smoothed_margin",
    "smoothed_change",
)
GROWING = (
    "chosen_distance",
    "gradient_distance",
    "chosen_of_class",
    *("cover_wide", "cover_wide_uncertain", "cover_narrow", "cover_narrow_uncertain"),
    *("cover_shrinking", "cover_shrinking_uncertain"),
    *("variance", "variance_gain", "variance_gain_uncertain"),
)
NAMES = STATIC + GROWING


def misfit(logits_L_C: Tensor, labels_L: Tensor) -> float:
    """Share of the labelled samples that the classifier gets wrong: it is not trained to the end.

    A number of the classifier, not of a candidate: the weights of all features may change with it.
    """
    return float((logits_L_C.argmax(1) != labels_L).float().mean())


def margin(probs_N_C: Tensor) -> Tensor:
    """log(p(1) - p(2) + 0.02) for the two most likely classes, N."""
    return (margins(probs_N_C) + 0.02).log()


def entropy(probs_N_C: Tensor) -> Tensor:
    """-sum_c p_c log p_c / log C, N values from 0 to 1."""
    return torch.special.entr(probs_N_C).sum(1) / math.log(probs_N_C.shape[1])


def confidence(probs_N_C: Tensor) -> Tensor:
    """log p(1), N."""
    return probs_N_C.amax(1).clamp(min=1e-12).log()


def residual(probs_N_C: Tensor) -> Tensor:
    """|p - 1_y| for the predicted class y, N: the factor of BADGE's gradient that p gives."""
    most_N = probs_N_C.amax(1)
    return (probs_N_C.square().sum(1) - 2 * most_N + 1).clamp(min=0).sqrt()


def length(embedding_N_D: Tensor) -> Tensor:
    """log(|h| / mean |h|), N."""
    length_N = embedding_N_D.norm(dim=1)
    return (length_N / length_N.mean().clamp(min=1e-12)).clamp(min=1e-6).log()


# Not by `coverage`, which centres by the labelled samples, too, and rounds otherwise: the published
# weights were trained on these distances, and other bits would be other choices.
def distances(one_N_D: Tensor, other_M_D: Tensor) -> Tensor:
    """Euclidean distances between directions, N x M."""
    return (2 - 2 * (one_N_D @ other_M_D.mT)).clamp_(min=0).sqrt_()


def unit(distance_R_N: Tensor) -> Tensor:
    """sigma: the median distance between different candidates; 1 if all are the same."""
    apart = distance_R_N[distance_R_N > SAME]
    return apart.median() if len(apart) else torch.tensor(1.0)


def kernel(distance: Tensor, radius: float) -> Tensor:
    """exp(-d^2 / (2 r^2)) for distances d and a radius r in units of sigma."""
    return distance.square().mul_(-0.5 / radius**2).exp_()


def shrinking_radius(distance_L_L: Tensor) -> float:
    """The smallest distance between two labelled samples over sqrt(2), from 0.15 to 0.75.

    The radius of UHerding (Bae et al. 2025), in whose kernel is no 2.
    """
    apart = distance_L_L[distance_L_L > SAME]
    least = float(apart.min()) if len(apart) else math.inf
    return min(max(least / math.sqrt(2), SMALLEST), RADII[0])


def labelled_distance(distance_N_L: Tensor) -> Tensor:
    """Distance to the nearest labelled sample, N."""
    return distance_N_L.amin(1)


def own_class_distance(distance_N_L: Tensor, labels_L: Tensor, predicted_N: Tensor) -> Tensor:
    """Distance to the nearest labelled sample of the predicted class, at most twice sigma, N."""
    other_N_L = labels_L != predicted_N[:, None]
    return distance_N_L.masked_fill(other_N_L, 2.0).amin(1)


def isolation(distance_R_N: Tensor, references: Tensor) -> Tensor:
    """Mean distance to the 5 nearest references but itself, N; 0 where there is no other."""
    others = min(NEAREST, len(references) - 1)
    if not others:
        return torch.zeros(distance_R_N.shape[1])
    itself = torch.arange(len(references)), references
    distance_R_N[itself] = torch.inf
    nearest_K_N = distance_R_N.topk(others, 0, largest=False).values
    distance_R_N[itself] = 0.0
    return nearest_K_N.mean(0)


def density(kernel_R_N: Tensor, own_N: Tensor) -> Tensor:
    """Mean kernel to the references and itself, N; `own_N` is 0 for a reference, else 1."""
    return (kernel_R_N.sum(0) + own_N) / (len(kernel_R_N) + own_N)


def class_share_labelled(labels_L: Tensor, predicted_N: Tensor, classes: int) -> Tensor:
    """C times the share of the predicted class among the labels, N; 1 if all are as frequent."""
    share_C = torch.bincount(labels_L, minlength=classes).float() / len(labels_L)
    return classes * share_C[predicted_N]


def class_share_predicted(probs_N_C: Tensor, predicted_N: Tensor) -> Tensor:
    """C times the candidates' mean probability of the predicted class, N."""
    return probs_N_C.shape[1] * probs_N_C.mean(0)[predicted_N]


def contradiction(distance_N_L: Tensor, labels_L: Tensor, predicted_N: Tensor) -> Tensor:
    """Share of the 5 nearest labels that differ from the prediction, N."""
    near_N_K = distance_N_L.topk(min(NEAREST, len(labels_L)), dim=1, largest=False).indices
    return (labels_L[near_N_K] != predicted_N[:, None]).float().mean(1)


def smoothed(probs_N_C: Tensor, kernel_R_N: Tensor, references: Tensor, own_N: Tensor) -> Tensor:
    """Mean probabilities of references and itself, weighted by the kernel, N x C.

    `own_N` is 0 for a reference, which is among them already, else 1.
    """
    total_N_C = kernel_R_N.mT @ probs_N_C[references] + own_N[:, None] * probs_N_C
    return total_N_C / (kernel_R_N.sum(0) + own_N)[:, None]


def smoothed_change(probs_N_C: Tensor, smoothed_N_C: Tensor) -> Tensor:
    """Sum over the classes of |p - smoothed p|, N: how much a prediction stands out."""
    return (probs_N_C - smoothed_N_C).abs().sum(1)


class Cover:
    """Gain in coverage by a Gaussian kernel, as a batch grows (ProbCover; MaxHerding).

    cover_j = max over labelled and chosen i of k(x_i, x_j); gain_i = sum_j w_j max(0, k_ij -
    cover_j) over the references j and i itself, for each of several weights w. `own_W_N` are the
    weights of candidates that are no references, and 0 for the others: without its own term a
    candidate could not compete with one that covers itself as a reference.
    """

    def __init__(
        self,
        kernel_R_N: Tensor,
        known_N: Tensor,
        weight_W_R: Tensor,
        own_W_N: Tensor,
        references: Tensor,
    ) -> None:
        self.kernel_R_N, self.weight_W_R, self.own_W_N = kernel_R_N, weight_W_R, own_W_N
        self.known_N = known_N
        self.cover_R = known_N[references]
        self.covered_W_N = self.weight_W_R @ _above(kernel_R_N, self.cover_R)

    def gain(self) -> Tensor:
        """W x N."""
        return self.covered_W_N + self.own_W_N * (1 - self.known_N)

    def add(self, i: int, kernel_N: Tensor) -> None:
        """Choose candidate i, with these kernels to all candidates.

        Only references that it covers better count for less than before.
        """
        self.known_N = torch.maximum(self.known_N, kernel_N)
        better = (self.kernel_R_N[:, i] > self.cover_R).nonzero()[:, 0]
        kernel_J_N, before_J = self.kernel_R_N[better], self.cover_R[better]
        now_J = kernel_J_N[:, i]
        lost_J_N = _above(kernel_J_N, before_J) - _above(kernel_J_N, now_J)
        self.covered_W_N -= self.weight_W_R[:, better] @ lost_J_N
        self.cover_R[better] = now_J


def _above(kernel_R_N: Tensor, cover_R: Tensor) -> Tensor:
    return (kernel_R_N - cover_R[:, None]).clamp_(min=0)


class Variance:
    """Variance of a Gaussian process given the labelled samples, as a batch grows.

    `variance_N` is that of each candidate; gain_i = sum_j w_j s_ij^2 / (s_ii + noise) is by how
    much the label of i lowers that of the references j and of i itself, for the covariance s given
    all labels so far (Seo et al. 2000, Eq. 8), for each of several weights w; see `Cover`.
    """

    def __init__(
        self,
        kernel_R_N: Tensor,
        kernel_L_N: Tensor,
        kernel_L_L: Tensor,
        references: Tensor,
        weight_W_R: Tensor,
        own_W_N: Tensor,
    ) -> None:
        self.references, self.weight_W_R, self.own_W_N = references, weight_W_R, own_W_N
        root_L_L = torch.linalg.cholesky(kernel_L_L + NOISE * torch.eye(len(kernel_L_L)))
        # Rows of a partial Cholesky factor: what each label tells of each candidate.
        self.known_K_N = torch.linalg.solve_triangular(root_L_L, kernel_L_N, upper=False)
        self.covariance_R_N = kernel_R_N - self.known_K_N[:, references].mT @ self.known_K_N
        self.squares_W_N = self.weight_W_R @ self.covariance_R_N.square()
        self.variance_N = (1 - self.known_K_N.square().sum(0)).clamp(min=0)

    def gain(self) -> Tensor:
        """W x N."""
        squares_W_N = self.squares_W_N + self.own_W_N * self.variance_N.square()
        return squares_W_N / (self.variance_N + NOISE)

    def add(self, i: int, kernel_N: Tensor) -> None:
        """Choose candidate i, with these prior covariances to all candidates."""
        covariance_N = kernel_N - self.known_K_N[:, i] @ self.known_K_N
        row_N = covariance_N / (self.variance_N[i] + NOISE).sqrt()
        row_R = row_N[self.references]
        weighted_W_R = self.weight_W_R * row_R
        self.squares_W_N += row_N.square() * (weighted_W_R @ row_R)[:, None]
        self.squares_W_N -= 2 * row_N * (weighted_W_R @ self.covariance_R_N)
        self.covariance_R_N.addr_(row_R, row_N, alpha=-1)
        self.variance_N = (self.variance_N - row_N.square()).clamp(min=0)
        self.known_K_N = torch.cat([self.known_K_N, row_N[None]])


class Gradients:
    """Distance to the nearest chosen candidate between BADGE's gradient embeddings, N.

    The gradient is the outer product of residual and embedding (Ash et al. 2020, Sec. 3), so its
    inner products are products of theirs.
    """

    def __init__(self, residual_N_C: Tensor, embedding_N_D: Tensor) -> None:
        self.residual_N_C, self.embedding_N_D = residual_N_C, embedding_N_D
        self.square_N = residual_N_C.square().sum(1) * embedding_N_D.square().sum(1)
        self.nearest_N = torch.full((len(residual_N_C),), torch.inf)

    def add(self, i: int) -> None:
        """Choose candidate i."""
        inner_N = self.residual_N_C @ self.residual_N_C[i]
        inner_N *= self.embedding_N_D @ self.embedding_N_D[i]
        distance_N = (self.square_N + self.square_N[i] - 2 * inner_N).clamp(min=0).sqrt()
        self.nearest_N = torch.minimum(self.nearest_N, distance_N)


class Batch:
    """All features of N candidates, given the labelled samples and the batch chosen so far.

    What looks at pairs of candidates does so against `REFERENCES` random ones at most, and the
    Gaussian process at as many labelled samples, so that time and memory are linear in N and in L.
    """

    def __init__(
        self,
        probs_N_C: Tensor,
        embedding_N_D: Tensor,
        labelled_embedding_L_D: Tensor,
        labels_L: Tensor,
        rng: np.random.Generator,
    ) -> None:
        n, self.classes = probs_N_C.shape
        self.predicted_N = probs_N_C.argmax(1)
        centre_D = embedding_N_D.mean(0)
        centred_N_D = embedding_N_D - centre_D
        self.direction_N_D = F.normalize(centred_N_D)
        labelled_L_D = F.normalize(labelled_embedding_L_D - centre_D)
        references = _references(n, rng)
        own_N = torch.ones(n)
        own_N[references] = 0
        distance_R_N = distances(self.direction_N_D[references], self.direction_N_D)
        self.scale = unit(distance_R_N[:: max(1, len(references) // 32)])
        distance_R_N /= self.scale
        distance_N_L = distances(self.direction_N_D, labelled_L_D) / self.scale
        labelled_K_D = labelled_L_D[_references(len(labelled_L_D), rng)]
        distance_K_K = distances(labelled_K_D, labelled_K_D) / self.scale
        self.radii = *RADII, shrinking_radius(distance_K_K)
        kernels = [kernel(distance_R_N, radius) for radius in self.radii]
        smoothed_N_C = smoothed(probs_N_C, kernels[1], references, own_N)
        known_N = labelled_distance(distance_N_L)
        static_N_F = torch.stack(
            [
                margin(probs_N_C),
                entropy(probs_N_C),
                confidence(probs_N_C),
                length(centred_N_D),
                known_N,
                own_class_distance(distance_N_L, labels_L, self.predicted_N),
                isolation(distance_R_N, references),
                density(kernels[0], own_N),
                class_share_labelled(labels_L, self.predicted_N, self.classes),
                class_share_predicted(probs_N_C, self.predicted_N),
                contradiction(distance_N_L, labels_L, self.predicted_N),
                residual(probs_N_C),
                margin(smoothed_N_C),
                smoothed_change(probs_N_C, smoothed_N_C),
            ],
            1,
        )
        self.static_N_F = standardised(static_N_F)
        weight_W_N = torch.stack([torch.ones(n), 1 - margins(probs_N_C)]) / len(references)
        weights = weight_W_N[:, references], weight_W_N * own_N
        self.covers = [
            Cover(kernel_R_N, kernel(known_N, radius), *weights, references)
            for kernel_R_N, radius in zip(kernels, self.radii, strict=True)
        ]
        distance_K_N = distances(labelled_K_D, self.direction_N_D) / self.scale
        prior = kernels[0], kernel(distance_K_N, RADII[0]), kernel(distance_K_K, RADII[0])
        self.variance = Variance(*prior, references, *weights)
        self.gradients = Gradients(residuals(probs_N_C), centred_N_D)
        self.nearest_N = torch.full((n,), torch.inf)
        self.chosen_of_class_N = torch.zeros(n)

    def add(self, i: int) -> None:
        """Choose candidate i."""
        distance_N = distances(self.direction_N_D, self.direction_N_D[i : i + 1])[:, 0]
        distance_N /= self.scale
        self.nearest_N = torch.minimum(self.nearest_N, distance_N)
        self.chosen_of_class_N += self.predicted_N == self.predicted_N[i]
        self.gradients.add(i)
        kernels = [kernel(distance_N, radius) for radius in self.radii]
        for cover, kernel_N in zip(self.covers, kernels, strict=True):
            cover.add(i, kernel_N)
        self.variance.add(i, kernels[0])

    def growing(self) -> Tensor:
        """The features that depend on the batch, N x F, standardised."""
        nearest = [self.nearest_N, self.gradients.nearest_N]
        rows = [
            *(x.nan_to_num(posinf=0.0) for x in nearest),
            self.chosen_of_class_N,
            *(gain_N for cover in self.covers for gain_N in cover.gain()),
            (self.variance.variance_N + 1e-3).log(),
            *self.variance.gain(),
        ]
        return standardised(torch.stack(rows, 1))


def _references(count: int, rng: np.random.Generator) -> Tensor:
    """Positions of all, or of `REFERENCES` random ones if there are more."""
    if count <= REFERENCES:
        return torch.arange(count)
    return torch.from_numpy(rng.permutation(count)[:REFERENCES])


def standardised(features_N_F: Tensor) -> Tensor:
    """Mean 0 and variance 1 over the candidates; near 0 where all are equal but for rounding."""
    spread_F, mean_F = torch.std_mean(features_N_F, 0, correction=0)
    least_F = (ROUNDING * mean_F.abs()).clamp(min=1e-6)
    return (features_N_F - mean_F) / torch.maximum(spread_F, least_F)
