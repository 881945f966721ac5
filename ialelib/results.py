"""Publishing of tables and policies with their provenance."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from ialelib import policy as policies
from ialelib.features import NAMES
from ialelib.generalist import Generalist
from ialelib.policy import AnyPolicy, Policy
from ialelib.utils.core import UNKNOWN, core
from ialelib.utils.files import atomic, project
from ialelib.utils.machine import commit, machine

PACKAGES = ("ialelib", "torch", "numpy", "pandas", "scipy")
SOURCES = ("dataset", "seed", "commit", "core")
MOMENTS = {
    "1 label per class": (1, 0.0),
    "20 labels per class": (20, 0.0),
    "20, half of them missed": (20, 0.5),
}
"""Where the generalist's weights are shown: labels per class, and the classifier's misfit."""
PRIVATE = ("runs", "figures", "processes")
"""Parameters that change where and how fast a notebook runs, but not what it finds."""


class Settings(Protocol):
    """A notebook's parameters, as `params.base.Params` has them."""

    @property
    def figures(self) -> str:
        """Folder of figures and tables, relative to the project."""

    def path(self, name: str) -> Path:
        """Where the notebook writes a file of that name, e.g. "curves.csv"."""

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        """All parameters by name, as JSON has them."""


def publish(
    table: pd.DataFrame,
    settings: Settings,
    name: str,
    timings: bool = False,
    of: pd.DataFrame | None = None,
) -> None:
    """Write a result table as NOTEBOOK_NAME.csv into the figures' folder, with its provenance.

    Columns of seconds are left out unless `timings` are what the table is about (14_run_time):
    only they differ between runs. Added are, where the table has no such
    column, dataset and seed (all that went into it), profile, params (a digest), commit, core,
    machine and versions. For a table that sums up another, `of`, the first two, the commit and
    the core are all of that one's.
    """
    passing = [] if timings else [name for name in table if str(name).endswith("seconds")]
    lasting = table.drop(columns=passing)
    about_all = provenance(settings)
    if of is not None:
        about_all |= {name: _joined(of[name].unique()) for name in SOURCES if name in of}
    added = {name: text for name, text in about_all.items() if name not in table}
    with atomic(settings.path(f"{name}.csv")) as temporary:
        lasting.assign(**added).to_csv(temporary, index=False)


def provenance(settings: Settings) -> dict[str, str]:
    """What `publish` adds to a table."""
    values = {k: v for k, v in settings.model_dump(mode="json").items() if k not in PRIVATE}
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:10]
    parts = Path(settings.figures).parts
    return {
        **{name: text for name in ("dataset", "seed") if (text := _listed(values, name))},
        "profile": parts[1] if parts[0] == "figures" and len(parts) > 1 else "own",
        "params": digest,
        "commit": commit(),
        "core": core(),
        "machine": machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _listed(values: Mapping[str, Any], name: str) -> str:
    """The data sets or seeds among a notebook's parameters: one, or all of a list."""
    found = values.get(name, values.get(f"{name}s", []))
    return _joined(found) if isinstance(found, list) else str(found)


def _joined(values: Iterable[Any]) -> str:
    return "; ".join(map(str, values))


def publish_policy(
    policy: AnyPolicy, history: pd.DataFrame, results: pd.DataFrame, name: str
) -> None:
    """Save a policy as `policies/NAME.safetensors` of the project, with its card (`card`).

    Both are replaced, or none.
    """
    folder = project() / "policies"
    with atomic(folder / f"{name}.md") as temporary:
        temporary.write_text(card(policy, history, results, name))
        policies.save_policy(policy, folder / f"{name}.safetensors")


def card(policy: AnyPolicy, history: pd.DataFrame, results: pd.DataFrame, name: str) -> str:
    """The card of a policy that `train_policy` or `train_generalist` returned, as Markdown.

    `history` is the table that came with it; `results` is `metrics.paired_tests`' or
    `experiments.proof.against`'s.
    """
    if isinstance(policy, Generalist):
        text = _generalist_card(policy, history, name)
    else:
        text = _imitation_card(policy, history, name)
    return text + _markdown(results.round(4)) + "\n"


def _generalist_card(policy: Generalist, history: pd.DataFrame, name: str) -> str:
    rows = pd.json_normalize(policy.about, sep=" ").iloc[0]
    weights = pd.DataFrame({"feature": NAMES})
    for moment, state in MOMENTS.items():
        weights[moment] = policy.weights(*state).double().numpy()
    progress = history.groupby(["stage", "generation"], sort=False)["gain"].mean().reset_index()
    return f"""# Policy {name}

A policy for any classifier, width and number of classes, trained by imitation of an oracle and by
search over whole cycles (CMA-ES): on frozen features ("search"), and where the settings name it
then also on classifiers trained from scratch ("scratch"). Load it with
`ialelib.load_policy("{name}")`. Weights {policy.fingerprint()}. Of a classifier with dropout it
reads the mean probabilities of {policy.passes} passes.

## Settings

{_markdown(pd.DataFrame({"parameter": rows.index, "value": map(str, rows)}))}

## Cost

{len(history)} cycles of the search: {history["seconds"].sum() / 60:.0f} minutes of one core.

## Weights

{_markdown(weights.round(3))}

## Gain in AUBC over random sampling, mean of all candidates, by generation

{_markdown(pd.DataFrame(progress).round(4))}

## Results

On data that it never saw: gain in AUBC over each strategy, paired by seed, with half its 95%
interval, Wilcoxon's p and that p corrected by Holm.

"""


def _imitation_card(policy: Policy, history: pd.DataFrame, name: str) -> str:
    config = dict(policy.about["imitation"])
    rows = {"dataset": policy.about["dataset"], **config.pop("setting"), **config}
    rows["core"] = policy.about.get("core", UNKNOWN)
    minutes = history["seconds"].sum(skipna=False) / 60
    cost = f"{minutes:.0f} minutes of roll-outs" if pd.notna(minutes) else "time not recorded"
    return f"""# Policy {name}

A policy trained by imitation (Algorithm 1 of IALE, JMLR 23(107), 2022) on {rows["dataset"]}.
Load it with `ialelib.load_policy("{name}")`. It reads embeddings of {policy.embedding}
dimensions and {policy.classes} classes; weights {policy.fingerprint()}.

## Settings

{_markdown(pd.DataFrame({"parameter": rows.keys(), "value": map(str, rows.values())}))}

## Cost

{len(history)} episodes: {cost}.

## How often each expert won, by episode

{_markdown(history.drop(columns="seconds").round(3))}

## Results

Mean AUBC over paired seeds; gain over random with Wilcoxon's p, corrected by Holm.

"""


def _markdown(frame: pd.DataFrame) -> str:
    lines = [frame.columns, ["---"] * len(frame.columns), *frame.astype(object).to_numpy()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
