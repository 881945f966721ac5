# Policies are trained, cycles run and figures drawn by notebooks: one rule for each params file of a
# profile, NOTEBOOK.yaml or NOTEBOOK-VARIANT.yaml. What a notebook reads and leaves is declared by its
# class in ialelib/params/. The gallery shows the executed notebooks.
from pathlib import Path

from ialelib.runner import check
from ialelib.utils.errors import InputError

PROFILE = config.get("profile", "quick")
RUNS = Path("runs") / PROFILE
try:
    BATCH = check.batch(Path("params") / PROFILE)
    DRAWN = list(BATCH)
    if "figure" in config:
        DRAWN = [check.drawing(config["figure"], BATCH, check.figures())]
except InputError as error:
    raise WorkflowError(str(error))
# Notebooks never import the room that runs them.
LIBRARY = sorted(str(path) for path in Path("ialelib").rglob("*.py") if path.parent.name != "runner")


def needs(stem):
    """What a notebook reads: policies and tables, and the notebooks of this profile that make them."""
    makers = check.makers(stem, BATCH)
    made = {Path(file) for maker in makers for file in BATCH[maker].outputs()}
    names = sorted(BATCH[stem].needs())
    files = [path for name in names for path in (Path("policies") / f"{name}.safetensors", Path(name))]
    return [RUNS / f"{maker}.ipynb" for maker in makers] + [f for f in files if f in made or f.is_file()]


localrules: all, figures, gallery


rule figures:
    input:
        [RUNS / f"{stem}.ipynb" for stem in DRAWN],
        [file for stem in DRAWN for file in BATCH[stem].outputs()],


# The figures as well: of what the gallery alone comes from, Snakemake makes nothing again that was
# deleted.
rule all:
    default_target: True
    input:
        rules.figures.input,
        RUNS / "gallery" / "index.html",


for stem, params in BATCH.items():

    rule:
        name:
            stem
        input:
            notebook=f"notebooks/{params.notebook}.ipynb",
            params=f"params/{PROFILE}/{stem}.yaml",
            needs=needs(stem),
            library=LIBRARY,
        output:
            RUNS / f"{stem}.ipynb",
            # Snakemake deletes outputs before a run, but not those to update: it keeps a copy of
            # them, and puts that back if the notebook fails.
            update(params.outputs()),
        log:
            RUNS / "logs" / f"{stem}.ipynb",
        benchmark:
            RUNS / "benchmarks" / f"{stem}.tsv"
        # Each notebook spreads its own cycles over this many processes; what measures time runs alone.
        threads: workflow.cores if params.notebook == "14_run_time" else getattr(params, "processes", 1)
        shell:
            "python -m ialelib.runner.execute {input.notebook:q} {input.params:q} {log:q} {output[0]:q}"


rule gallery:
    input:
        rules.figures.input,
        "ialelib/runner/gallery.py",
        "ialelib/runner/gallery.css",
        "notebooks/00_index.ipynb",
    output:
        RUNS / "gallery" / "index.html",
    shell:
        "python -m ialelib.runner.gallery {PROFILE:q}"
