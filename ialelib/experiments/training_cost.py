"""Cheaper training, evaluated: recipes against 100 epochs, and warm against fresh rankings.

Neither is in the paper, which trains every classifier for 100 epochs from fresh weights (Sec. 4.2).
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ialelib.cycle import Cycle, CycleConfig
from ialelib.dagger import fit_distinct, validate
from ialelib.data import DataSet, balanced
from ialelib.experts import PAPER_EXPERTS
from ialelib.metrics import mean_interval
from ialelib.models import Architecture, Classifier
from ialelib.recipes import Recipe, TrainJob, recipe
from ialelib.training import correct_mask, fit_many
from ialelib.utils import cache
from ialelib.utils.errors import InputError
from ialelib.utils.seeds import derive, stream

FRESH = ("fresh a", "fresh b")


def accuracies(
    data: DataSet,
    recipes: Mapping[str, Recipe],
    labels: Sequence[int],
    seeds: Iterable[int],
    folder: Path,
    processes: int = 1,
    classifier: str = "cnn",
) -> pd.DataFrame:
    """Test accuracy of every recipe on class-balanced random labelled sets; resumable.

    For one seed and size, all recipes get the same samples and the same initial weights. Columns:
    dataset, recipe, labels, seed, steps, seconds (including other work on the machine), accuracy
    (0 to 1), samples (passed through the classifier in training).

    Raises:
        InputError: more labels than samples.
    """
    if max(labels) > len(data.train_labels):
        raise InputError(
            f"{max(labels)} labels asked for, but {data.name!r} has {len(data.train_labels)}"
        )
    tasks = {}
    for seed in seeds:
        for size in labels:
            for name, how in recipes.items():
                about = {**asdict(how), "classifier": classifier, "data": data.fingerprint}
                path = cache.table_file(folder, f"{data.name}-{name}-{size}-{seed:03d}", about)
                tasks[path] = partial(_accuracy, data, name, how, size, seed, classifier)
    table = cache.run(tasks, processes, "recipes")
    pairs = zip(table["recipe"], table["labels"], strict=True)
    return table.assign(samples=[recipes[name].samples(size) for name, size in pairs])


def _accuracy(
    data: DataSet, name: str, how: Recipe, size: int, seed: int, classifier: str
) -> pd.DataFrame:
    chosen = balanced(data.train_labels, size, stream(seed, "initial"))
    job = TrainJob(
        Architecture(classifier, data.classes, data.shape),
        data.train_inputs[chosen],
        data.train_labels[chosen],
        how,
        weights=derive(seed, "weights"),
        seed=derive(seed, "fit", size),
    )
    started = time.perf_counter()
    (model,) = fit_many([job])
    seconds = time.perf_counter() - started
    hits = correct_mask(model, data.test_inputs, data.test_labels, how)
    row = {"dataset": data.name, "recipe": name, "labels": size, "seed": seed}
    row |= {"steps": how.length(size), "seconds": seconds, "accuracy": hits.mean()}
    return pd.DataFrame([row])


def gaps(accuracies: pd.DataFrame) -> pd.DataFrame:
    """How far each recipe's mean accuracy is from that of 100 epochs ("paper").

    A row for every data set, size and recipe: seeds, steps, samples (as in `accuracies`),
    accuracy, gap (the mean difference, paired by seed), margin (half its 95% interval), and work
    (samples, as a share of the paper's).
    """
    keys = ["dataset", "labels", "seed"]
    paper = accuracies[accuracies["recipe"] == "paper"].set_index(keys)[["accuracy", "samples"]]
    joined = accuracies.join(paper.add_suffix("_paper"), on=keys)
    joined["gap"] = joined["accuracy"] - joined["accuracy_paper"]
    grouped = joined.groupby(["dataset", "labels", "recipe"], sort=False)
    table = grouped[["steps", "samples", "accuracy", "gap", "samples_paper"]].mean()
    table.insert(0, "seeds", grouped.size())
    table.insert(5, "margin", grouped["gap"].agg(mean_interval))
    table["work"] = table["samples"] / table.pop("samples_paper")
    return table.reset_index()


def rankings(
    data: DataSet,
    config: CycleConfig,
    warm: Mapping[str, Recipe],
    seeds: Iterable[int],
    validation: int,
    folder: Path,
    processes: int = 1,
) -> pd.DataFrame:
    """Scores of the six experts' batches, ranked in several ways; resumable by seed.

    One expert-led episode for each seed. At every acquisition the temporary classifiers are
    trained from fresh weights twice, with different seeds ("fresh a", whose winner is followed,
    and "fresh b"), and by fine-tuning the current classifier with every recipe of `warm`. Columns:
    dataset, seed, labels, method, expert, batch (equal numbers: equal batches), score (accuracy
    on the same `validation` samples).

    Raises:
        InputError: a configuration that does not fit the data.
    """
    config.check(data, validation)
    about = {**asdict(config), "fresh": asdict(recipe(config.recipe)), "validation": validation}
    about |= {name: asdict(how) for name, how in warm.items()} | {"data": data.fingerprint}
    tasks = {
        cache.table_file(folder, f"{data.name}-rankings-{seed:03d}", about): partial(
            _ranked_episode, data, config, dict(warm), seed, validation
        )
        for seed in seeds
    }
    return cache.run(tasks, processes, "rankings")


def _ranked_episode(
    data: DataSet, config: CycleConfig, warm: Mapping[str, Recipe], seed: int, validation: int
) -> pd.DataFrame:
    cycle = Cycle(data, config, seed, validation)

    def acquire(model: Classifier | None) -> tuple[pd.DataFrame, np.ndarray, Classifier]:
        current = model or fit_many([cycle.job()])[0]
        sub_pool = cycle.sub_pool()
        query = cycle.query(current, sub_pool, fit_many(cycle.member_jobs()))
        batches = [np.sort(sub_pool[cycle.select(query, name)]) for name in PAPER_EXPERTS]
        table, models = _ranked(cycle, current, batches, warm)
        best = table[table["method"] == FRESH[0]]["score"].argmax()
        return table, batches[best], models[best]

    return pd.concat(cycle.acquisitions(acquire)).assign(dataset=data.name, seed=seed)


def _ranked(
    cycle: Cycle, model: Classifier, batches: list[np.ndarray], warm: Mapping[str, Recipe]
) -> tuple[pd.DataFrame, list[Classifier]]:
    """Every method's scores of the batches, and the classifiers of the first method."""
    fresh = [cycle.job(batch) for batch in batches]
    again = derive(cycle.seed, "again", cycle.labels)
    jobs = {FRESH[0]: fresh, FRESH[1]: [replace(j, weights=again, seed=again) for j in fresh]}
    tuned = [cycle.job(batch, start=model) for batch in batches]
    jobs |= {name: [replace(job, recipe=how) for job in tuned] for name, how in warm.items()}
    keys = [batch.tobytes() for batch in batches]
    same = [keys.index(key) for key in keys]
    trained = {method: fit_distinct(batches, of_method) for method, of_method in jobs.items()}
    tables = [
        pd.DataFrame(
            {
                "labels": cycle.labels,
                "method": method,
                "expert": PAPER_EXPERTS,
                "batch": same,
                "score": validate(cycle, models).double().mean(1).numpy(),
            }
        )
        for method, models in trained.items()
    ]
    return pd.concat(tables, ignore_index=True), trained[FRESH[0]]


def agreement(scores: pd.DataFrame) -> pd.DataFrame:
    """How often each way of ranking picks the batch that a fresh ranking picks.

    A row for every method of `rankings`; "fresh" compares the two fresh rankings with each other,
    every other row is the mean of its comparisons with both. Columns: method; decisions; agree
    (share of acquisitions with the same best batch, ties counted in part); chance (the same for
    a random choice); difference (agree less that of "fresh") with the ends of its 95% interval
    low and high, paired by acquisition; correlation (of the scores, centred on each acquisition);
    gain (what the method's choice is worth in a fresh ranking, above the mean batch).
    """
    warm = [name for name in scores["method"].unique() if name not in FRESH]
    pairs = [("fresh", *FRESH), ("fresh", *FRESH[::-1])]
    pairs += [(name, name, fresh) for name in warm for fresh in FRESH]
    rows = []
    for decision, part in scores.groupby(["dataset", "seed", "labels"]):
        scores_B = part.pivot_table(index="batch", columns="method", values="score")
        rows += [
            {"decision": decision, "method": name, **_compare(scores_B[one], scores_B[fresh])}
            for name, one, fresh in pairs
        ]
    each = pd.DataFrame(rows).groupby(["decision", "method"], sort=False).mean()
    means = each.groupby("method", sort=False).mean()
    agree = each.reset_index().pivot_table("agree", "decision", "method", sort=False)
    difference = agree.sub(agree["fresh"], axis=0)
    margin = 1.96 * difference.std() / np.sqrt(len(difference))
    products = each.groupby("method", sort=False)[["covariance", "spread", "spread_fresh"]].sum()
    table = means[["agree", "chance"]].assign(
        decisions=len(agree),
        difference=difference.mean(),
        low=difference.mean() - margin,
        high=difference.mean() + margin,
        correlation=products["covariance"] / np.sqrt(products["spread"] * products["spread_fresh"]),
        gain=means["gain"],
    )
    return table.reset_index()


def _compare(method_B: pd.Series, fresh_B: pd.Series) -> dict[str, float]:
    """One acquisition's ranking beside a fresh one, from the scores of its different batches."""
    best, true = (scores == scores.max() for scores in (method_B, fresh_B))
    a, b = method_B - method_B.mean(), fresh_B - fresh_B.mean()
    return {
        "agree": (best & true).sum() / (best.sum() * true.sum()),
        "chance": 1 / len(best),
        "gain": float(b[best].mean()),
        "covariance": float((a * b).sum()),
        "spread": float((a**2).sum()),
        "spread_fresh": float((b**2).sum()),
    }
