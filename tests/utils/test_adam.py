"""Adam with the numbers of torch's, and without its compiler."""

import subprocess
import sys

import torch
from torch import nn

from ialelib.utils.adam import Adam

FIT = """
import sys
import numpy as np
from ialelib.models import Architecture
from ialelib.recipes import Recipe, TrainJob
from ialelib.training import fit
inputs, labels = np.zeros((4, 8, 8), np.uint8), np.arange(4)
fit(TrainJob(Architecture("mlp", 4, (8, 8)), inputs, labels, Recipe(steps=1), 0, 0))
assert "torch._dynamo" not in sys.modules
"""


def layers() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(7, 9), nn.ReLU(), nn.Linear(9, 3)).double()


def test_it_equals_torchs_plain_adam_at_changing_rates() -> None:
    ours, theirs = layers(), layers()
    adam, reference = Adam(ours.parameters(), lr=0.1), torch.optim.Adam(theirs.parameters())
    for step, batch in enumerate(torch.randn(30, 5, 7, dtype=torch.float64)):
        ours(batch).square().sum().backward()
        adam.step(1 / (step + 1))
        reference.param_groups[0]["lr"] = 0.1 * (1 / (step + 1))
        reference.zero_grad()
        theirs(batch).square().sum().backward()
        reference.step()
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


def test_float32_equals_torchs_fused_kernel_bit_for_bit() -> None:
    ours, theirs = layers().float(), layers().float()
    adam = Adam(ours.parameters(), lr=0.01)
    reference = torch.optim.Adam(theirs.parameters(), lr=0.01, fused=True)
    for batch in torch.randn(10, 5, 7):
        ours(batch).square().sum().backward()
        adam.step()
        reference.zero_grad()
        theirs(batch).square().sum().backward()
        reference.step()
    assert all(map(torch.equal, ours.parameters(), theirs.parameters()))


def test_a_step_clears_the_gradients() -> None:
    model = layers()
    model(torch.ones(2, 7, dtype=torch.float64)).sum().backward()
    Adam(model.parameters(), lr=0.1).step()
    assert [weights.grad for weights in model.parameters()] == [None] * 4


def test_training_does_not_import_torchs_compiler() -> None:
    subprocess.run([sys.executable, "-c", FIT], check=True)
