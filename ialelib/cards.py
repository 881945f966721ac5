"""A trained policy and its card: data, settings, seeds, cost, results."""

from pathlib import Path

import pandas as pd

from ialelib import policy as policies
from ialelib.files import atomic
from ialelib.policy import Policy
from ialelib.strict import project


def publish(policy: Policy, history: pd.DataFrame, results: pd.DataFrame, name: str) -> None:
    """Save a policy as `policies/NAME.safetensors` of the project, with its card (`write`)."""
    folder = project() / "policies"
    policies.save(policy, folder / f"{name}.safetensors")
    write(policy, history, results, folder / f"{name}.md")


def write(policy: Policy, history: pd.DataFrame, results: pd.DataFrame, path: Path) -> None:
    """Write the card of a policy that `dagger.train` returned, as Markdown.

    `history` is `dagger.train`'s; `results` is `metrics.compare`'s.
    """
    imitation = dict(policy.about["imitation"])
    rows = {"dataset": policy.about["dataset"], **imitation.pop("setting"), **imitation}
    minutes = history["seconds"].sum(skipna=False) / 60
    cost = f"{minutes:.0f} minutes of roll-outs" if pd.notna(minutes) else "time not recorded"
    text = f"""# Policy {path.stem}

A policy trained by imitation (Algorithm 1 of IALE, JMLR 23(107), 2022) on {rows["dataset"]}.
Load it with `ialelib.policy.load("{path.stem}")`. It reads embeddings of {policy.embedding} numbers
and {policy.classes} classes; weights {policy.fingerprint()}.

## Settings

{_table(pd.DataFrame({"parameter": rows.keys(), "value": map(str, rows.values())}))}

## Cost

{len(history)} episodes: {cost}.

## How often each expert won, by episode

{_table(history.drop(columns="seconds").round(3))}

## Results

Mean AUBC over paired seeds; gain over random with Wilcoxon's p, corrected by Holm.

{_table(results.round(4))}
"""
    with atomic(path) as temporary:
        temporary.write_text(text)


def _table(frame: pd.DataFrame) -> str:
    lines = [frame.columns, ["---"] * len(frame.columns), *frame.astype(object).to_numpy()]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
