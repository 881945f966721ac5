"""k-means and one sample from each cluster, against scikit-learn and scikit-activeml."""

import numpy as np
import pytest
import torch
from skactiveml.pool import TypiClust
from sklearn.cluster import KMeans
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from ialelib.clusters import central, k_means, typical, typicality
from ialelib.coverage import directions
from ialelib.utils.errors import InputError

RNG = np.random.default_rng


def scattered(n: int, width: int = 6, seed: int = 0) -> Tensor:
    return torch.from_numpy(RNG(seed).normal(size=(n, width)).astype(np.float32))


def test_k_means_is_lloyds_algorithm_from_random_rows() -> None:
    rows = scattered(200)
    start = rows[RNG(3).choice(200, 8, replace=False)]
    expected = KMeans(8, init=start.numpy(), n_init=1, max_iter=10, tol=0).fit(rows.numpy())
    label, centre = k_means(rows, 8, RNG(3))
    assert label.tolist() == expected.labels_.tolist()
    np.testing.assert_allclose(centre, expected.cluster_centers_, atol=1e-5)


def test_k_means_of_equal_rows_has_one_cluster_and_finite_centres() -> None:
    label, centre = k_means(torch.ones(9, 2), 4, RNG(0))
    assert len(set(label.tolist())) == 1
    assert centre.tolist() == [[1.0, 1.0]] * 4


@pytest.mark.parametrize("size", [2, 15, 300])
def test_typicality_is_over_the_nearest_20(size: int) -> None:
    rows = directions(scattered(size), scattered(3))[0]
    nearest = NearestNeighbors(n_neighbors=min(21, size)).fit(rows).kneighbors(rows)[0]
    np.testing.assert_allclose(typicality(rows), 1 / nearest[:, 1:].mean(1), rtol=1e-3)


class Clusters:
    """What scikit-activeml takes for a clustering algorithm: the given labels."""

    def __init__(self, n_clusters: int, given: np.ndarray) -> None:
        self.given = given

    def fit_predict(self, X: np.ndarray) -> np.ndarray:
        return self.given


@pytest.mark.parametrize("seed", range(5))
def test_typical_is_typiclust_with_our_clusters(seed: int) -> None:
    rows, known, acq = scattered(200, seed=seed), scattered(12, seed=100 + seed), 6
    rng = RNG(seed)
    order = rng.permutation(200)
    both = torch.cat(directions(rows[order], known))
    label = k_means(both, 18, rng)[0].numpy()
    y = np.r_[np.full(200, np.nan), np.zeros(12)]
    strategy = TypiClust(
        cluster_algo=Clusters, cluster_algo_dict={"given": label}, k=20, random_state=0
    )
    expected = order[strategy.query(both.numpy(), y, batch_size=acq)]
    chosen = typical(rows, known, acq, RNG(seed))
    # Clusters of one size may take turns in any order.
    size = dict(zip(order, np.bincount(label)[label[:200]], strict=True))
    assert [size[i] for i in chosen] == [size[i] for i in expected]
    new = np.sort([n for k, n in enumerate(np.bincount(label)) if k not in label[200:]])[::-1]
    if len(new) == acq or new[acq - 1] > new[acq]:
        assert set(chosen) == set(expected)


def test_clusters_without_labels_come_before_larger_ones_with_labels() -> None:
    # Three groups of opposite directions: the largest holds both labelled samples.
    corner = torch.tensor([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]])
    rows = corner[[0] * 20 + [1] * 9 + [2] * 6] + 0.01 * scattered(35, 2)
    chosen = [typical(rows, rows[:1], 2, RNG(seed)) for seed in range(20)]
    groups = [np.digitize(some, [20, 29]).tolist() for some in chosen]
    assert groups.count([1, 2]) > 10, "unless k-means starts twice in one group"


def test_clusters_with_labels_give_where_no_others_are_left() -> None:
    rows = scattered(30)
    assert sorted(typical(rows, rows[:3], 30, RNG(0)).tolist()) == list(range(30))


def test_central_takes_the_nearest_to_each_centre_of_the_offered() -> None:
    rows, offered = scattered(80), np.arange(10, 60)
    shuffled = RNG(5)
    rows_K_D = rows[shuffled.permutation(offered)]
    centres = k_means(rows_K_D, 4, shuffled)[1]
    nearest = {int((rows[offered] - centre).norm(dim=1).argmin()) + 10 for centre in centres}
    assert set(central(rows, offered, 4, RNG(5)).tolist()) == nearest


@pytest.mark.parametrize("acq", [1, 8])
def test_central_takes_no_sample_twice(acq: int) -> None:
    chosen = central(torch.ones(20, 3), np.arange(12, 20), acq, RNG(0))
    assert len(set(chosen.tolist()) & set(range(12, 20))) == acq


def test_typical_refuses_more_than_is_offered() -> None:
    with pytest.raises(InputError, match="41 exceeds the 40"):
        typical(scattered(40), scattered(2), 41, RNG(0))
