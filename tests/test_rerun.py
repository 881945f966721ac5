"""Interactive use means running again: every notebook twice in one kernel, with other values."""

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

ROOT = Path(__file__).parents[1]
STARTUP = """
name = "of somebody else"
budgets, labelled_by = [1, 2, 3], ("me", "you")
budget, alil, reference, seed = "also a parameter's name", 3.5, None, [0]
"""


@dataclass(frozen=True)
class Values:
    """Parameters that make a notebook short, one to change, and where its results show it."""

    small: dict[str, Any]
    changed: dict[str, Any]
    shows: str
    """An expression in the notebook's variables that gives the changed parameter's value."""
    holds: str = "True"
    """What must be true of the results of the short run, too."""


CURVES = "sorted(map(int, curves['seed'].unique()))"
MLP = {"classifier": "mlp", "budget": 60, "acq": 20, "n": 60, "seeds": [0]}
OWN = {"budget": 40, "acq": 10, "n": 60, "seeds": [0]}
MORE = {"seeds": [0, 1]}
NOTEBOOKS = {
    "01_toy_gaussians": Values(
        {"samples": 800, "acquisitions": 2, "n": 50, "episodes": 1, "seeds": [0]},
        MORE,
        CURVES,
        "curves['accuracy'].between(0.8, 0.95).all()",
    ),
    "02_policy_training": Values(
        {
            **MLP,
            "experts": ["coreset", "entropy"],
            "episodes": 1,
            "validation": 200,
            "strategies": ["policy", "random"],
        },
        MORE,
        CURVES,
    ),
    "03_transfer_datasets": Values(
        {**MLP, "alil": None, "strategies": ["policy", "random"]}, MORE, CURVES
    ),
    "04_overlap": Values(
        MLP | {"acq": 10, "budget": 40},
        MORE,
        "sorted(map(int, shares['seed'].unique()))",
        "shares['share'].between(0, 100).all() and (lambda m: m['policy'] > 2 * m['random'])("
        "means[means.index.isin(iale.experts.PAPER_EXPERTS, level='part')].mean())",
    ),
    "05_transfer_classifiers": Values({**MLP, "strategies": ["random"]}, MORE, CURVES),
    "06_larger_images": Values(MLP, MORE, CURVES),
    "07_class_count": Values({**MLP, "strategies": ["random"]}, MORE, CURVES),
    "08_ablation_experts": Values(
        {**MLP, "policies": ["mnist-cnn-short", "mnist-cnn-no_emc"]}, MORE, CURVES
    ),
    "09_ablation_sizes": Values(
        {
            **MLP,
            "sizes": [[20, 60], [10, 60]],
            "baseline_sizes": [[20, 60]],
            "baseline_seeds": [0],
        },
        MORE,
        CURVES,
    ),
    "10_own_pool": Values(OWN | {"steps": [20, 50]}, MORE, CURVES),
    "11_training_cost": Values(
        {
            **MLP,
            "multiples": [0.25, 1],
            "warm_steps": [10],
            "ranking_seeds": [0],
            "quality_seeds": [0],
            "validation": 100,
        },
        {"quality_seeds": [0, 1]},
        CURVES,
        "table['agree'].between(0, 1).all()",
    ),
    "12_statistics": Values(
        {},
        {"reference": "entropy"},
        "compared[compared['p'].isna()]['strategy'].unique().item()",
        "(matrix.drop('mean').to_numpy().diagonal() == 0).all()",
    ),
    "13_exploration": Values({**MLP, "datasets": ["mnist-10k"]}, MORE, CURVES),
    "14_run_time": Values(
        {
            "classifier": "mlp",
            "strategies": ["policy", "random", "ensemble"],
            "experts": ["entropy", "coreset"],
        },
        MORE,
        CURVES,
        "(lambda c: c['ALIL'] > 10 and c['ALIL'] > 3 * c['IALE'])("
        "methods.set_index('method')['classifiers'])",
    ),
    "15_alil": Values(
        {"classifier": "mlp", "validation": 100, "seeds": [0]},
        MORE,
        CURVES,
        "history.filter(like='candidate').sum(axis=1).sub(1).abs().max() < 1e-6",
    ),
    "16_embedding_widths": Values(OWN | {"widths": [64, 128]}, MORE, CURVES),
    "17_labelling": Values({"n": 60}, {"dataset": "mnist-10k"}, "pool.name"),
    "18_extend": Values(OWN | {"experts": ["entropy"], "validation": 100}, MORE, CURVES),
    "19_beyond_the_paper": Values(
        {
            **{"generations": 1, "candidates": 2, "tasks": 1, "averaged": 1, "samples": 1000},
            "scratch_generations": 1,
            **{"rounds": 1, "imitated": 1, "policy": None, "ablation_seeds": [0]},
            **{"acquisitions": 2, "sizes": [60], "seeds": [0], "oracle_seeds": []},
            "strategies": ["random", "margin"],
        },
        MORE,
        CURVES,
        "set(curves['strategy']) == {'generalist', 'random', 'margin'} and len(history) == 4",
    ),
    "20_from_scratch": Values(
        {
            **{"tasks": 1, "sizes": [60], "budget": 40, "seeds": [0]},
            "strategies": ["random", "margin"],
        },
        MORE,
        CURVES,
        "set(curves['strategy']) == {'generalist', 'policy', 'random', 'margin'}",
    ),
    "21_pools": Values(
        {**MLP, "strategies": ["policy", "random", "entropy"]},
        MORE,
        CURVES,
        "{'entropy', 'entropy, whole pool', 'random'} < set(curves['strategy'])",
    ),
}
STEMS = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


class Kernel:
    """What runs the cells of one notebook after the other."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def run(self, code: str) -> str:
        """Run a cell; the last line of its error, if it has one."""
        reply = self.client.execute_interactive(
            code, allow_stdin=False, timeout=300, output_hook=lambda message: None
        )["content"]
        return f"{reply['ename']}: {reply['evalue']}" if reply["status"] == "error" else ""

    def value(self, expression: str) -> Any:
        """What an expression in the notebook's variables gives, if it is a literal."""
        reply = self.client.execute_interactive(
            "", user_expressions={"it": expression}, store_history=False, timeout=60
        )["content"]["user_expressions"]["it"]
        assert reply["status"] == "ok", reply
        return ast.literal_eval(reply["data"]["text/plain"])


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    home = tmp_path_factory.mktemp("ipython")
    startup = home / "profile_default" / "startup" / "00-own.py"
    startup.parent.mkdir(parents=True)
    startup.write_text(STARTUP)
    env = os.environ | {"IPYTHONDIR": str(home), "PYTHONPATH": str(ROOT)}
    manager, client = start_new_kernel(cwd=str(ROOT / "notebooks"), env=env)
    try:
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def code_cells(stem: str) -> list[Any]:
    notebook = nbformat.read(ROOT / "notebooks" / f"{stem}.ipynb", as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def is_parameters(cell: Any) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def assigned(values: Mapping[str, Any]) -> str:
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def play(kernel: Kernel, sources: list[str]) -> None:
    for source in sources:
        assert kernel.run(source) == "", source


@pytest.mark.parametrize("stem", STEMS)
def test_it_runs_again_with_a_changed_parameter_and_out_of_order(
    stem: str, kernel: Kernel, tmp_path: Path
) -> None:
    cells = code_cells(stem)
    sources = [cell.source for cell in cells]
    places = [i for i, cell in enumerate(cells) if is_parameters(cell)]
    if not places:
        play(kernel, [*sources, *sources])
        return
    (place,), values = places, NOTEBOOKS[stem]
    (key,) = values.changed
    defaults: dict[str, Any] = {}
    exec(sources[place], {}, defaults)
    assert set(values.small) | {key} <= set(defaults)
    folders = {name: str(tmp_path / name) for name in ("runs", "figures")}
    first = defaults | folders | values.small

    # As papermill does it: the values come in a cell of their own after the notebook's.
    injected = f"# Parameters\n{assigned(folders | values.small)}\n"
    play(kernel, [*sources[: place + 1], injected, *sources[place + 1 :]])
    assert kernel.value(values.shows) == first[key]
    assert kernel.value(f"bool({values.holds})")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*.*")}

    # As a reader does it: the notebook's own cell is edited, and all are run again.
    second = first | values.changed
    heading = sources[place].splitlines()[0]
    sources[place] = f"{heading}\n{assigned(second)}\n"
    play(kernel, sources)
    assert kernel.value(values.shows) == second[key]
    assert kernel.value(f"{{name: globals()[name] for name in {list(second)}}}") == second
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "computed again"

    # Out of order: parameters, settings, and the last figure.
    settings = next(source for source in sources if ".of(globals())" in source)
    drawn = [source for source in sources if "iale.plots." in source] or [sources[-1]]
    play(kernel, [sources[place], settings, drawn[-1]])

    misspelt = f"{key}{key[-1]}"
    play(kernel, [f"{sources[place]}{misspelt} = 1\n"])
    error = kernel.run(settings)
    assert error.startswith(f"InputError: unknown parameter '{misspelt}'; did you mean '{key}'?")
