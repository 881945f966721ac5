# Policies are trained, cycles run and figures drawn by notebooks; one rule runs them all. A notebook
# and its params file, NOTEBOOK.yaml or NOTEBOOK-VARIANT.yaml, give an executed notebook and, from
# inside it, figures, tables and policies. The gallery shows the executed notebooks.
from pathlib import Path

import yaml

from ialelib.runner import dependencies
from ialelib.utils.errors import InputError

PROFILE = config.get("profile", "quick")
PARAMS = Path("params") / PROFILE
RUNS = Path("runs") / PROFILE
STEMS = sorted(path.stem for path in PARAMS.glob("*.yaml"))
if not STEMS:
    profiles = sorted(path.name for path in Path("params").iterdir())
    raise WorkflowError(f"no params files in {PARAMS}; profiles are {', '.join(profiles)}")
VALUES = {stem: yaml.safe_load((PARAMS / f"{stem}.yaml").read_text()) for stem in STEMS}
# Notebooks never import the room that runs them.
LIBRARY = sorted(str(path) for path in Path("ialelib").rglob("*.py") if path.parent.name != "runner")


def drawn():
    """The notebooks that are asked for: all of the profile, or the one that draws a figure."""
    if "figure" not in config:
        return STEMS
    table = yaml.safe_load(Path("figures.yaml").read_text())
    try:
        return [dependencies.stem(config["figure"], table, STEMS)]
    except InputError as error:
        raise WorkflowError(str(error))


def needs(wildcards):
    """What a notebook reads: policies and tables, or the notebooks of this profile that make them."""
    sources = dependencies.makers(wildcards.stem, VALUES)
    made = [dependencies.made(stem, VALUES[stem]) for stem in sources]
    others = dependencies.wanted(VALUES[wildcards.stem]).difference(*made)
    files = [path for name in sorted(others) for path in (Path("policies") / f"{name}.safetensors", Path(name))]
    return [RUNS / f"{stem}.ipynb" for stem in sources] + [path for path in files if path.is_file()]


for stem in drawn():
    dependencies.forget_incomplete(RUNS / f"{stem}.ipynb")


localrules: all, figures, gallery


rule all:
    input:
        RUNS / "gallery" / "index.html",


rule figures:
    input:
        expand(RUNS / "{stem}.ipynb", stem=drawn()),


rule notebook:
    input:
        notebook=lambda wildcards: f"notebooks/{wildcards.stem.split('-')[0]}.ipynb",
        params=PARAMS / "{stem}.yaml",
        needs=needs,
        library=LIBRARY,
    output:
        RUNS / "{stem}.ipynb",
    log:
        RUNS / "logs" / "{stem}.ipynb",
    # Each notebook spreads its own cycles over this many processes; what measures time runs alone.
    threads: lambda wildcards: workflow.cores if wildcards.stem.startswith("14_run_time") else VALUES[wildcards.stem].get("processes", 1)
    shell:
        "python -m ialelib.runner.execute {input.notebook:q} {input.params:q} {log:q} {output:q}"


rule gallery:
    input:
        rules.figures.input,
        "ialelib/runner/gallery.py",
    output:
        RUNS / "gallery" / "index.html",
    shell:
        "python -m ialelib.runner.gallery {PROFILE:q}"


onsuccess:
    for stem in drawn():
        print(f"{PARAMS / stem}.yaml: {dependencies.settings(VALUES[stem])}")
    for folder in sorted({VALUES[stem]["figures"] for stem in drawn()}):
        print(f"Figures and tables: {Path(folder).resolve()}")
    print(f"Executed notebooks: {RUNS.resolve()}")


onerror:
    print(f"\nA notebook that failed is kept with its error in {(RUNS / 'logs').resolve()}")
