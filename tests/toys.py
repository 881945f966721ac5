"""The small cycle that several test files run, and what they compare."""

import pandas as pd
import torch

from ialelib.cycle import Setting
from ialelib.policy import Policy

TOY = Setting("toy_mlp", initial=20, budget=40, acq=10, n=30, recipe="toy")


def untimed(curve: pd.DataFrame) -> pd.DataFrame:
    return curve.drop(columns=["fit_seconds", "query_seconds"]).reset_index(drop=True)


def chosen(curve: pd.DataFrame) -> list[int]:
    return [int(index) for batch in curve["chosen"] for index in batch.split()]


def policy(seed: int, embedding: int = 16) -> Policy:
    torch.manual_seed(seed)
    return Policy(2, embedding).eval()
