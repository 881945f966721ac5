# One rule: a notebook and its params file, NOTEBOOK.yaml or NOTEBOOK-VARIANT.yaml, give an executed
# notebook and, from inside it, figures.
from pathlib import Path

import yaml

PROFILE = config.get("profile", "quick")
PARAMS = Path("params") / PROFILE
RUNS = Path("runs") / PROFILE
STEMS = sorted(path.stem for path in PARAMS.glob("*.yaml"))
if not STEMS:
    raise WorkflowError(f"no params files in {PARAMS}; profiles are quick, cpu and paper")


def makers(wildcards):
    """Notebooks of this profile that make the policies and tables which another one reads."""
    found = values(wildcards.stem)
    wanted = {found.get("policy"), *found.get("compared", []), *found.get("curves", [])} - {None}
    return [RUNS / f"{stem}.ipynb" for stem in STEMS if made(stem) & wanted]


def made(stem):
    """Names of policies and paths of tables, as `ialelib.strict.Params.makes` has them."""
    found = values(stem)
    return {found.get("save_policy"), f"{found['figures']}/{stem.split('-')[0]}_curves.csv"}


def values(stem):
    return yaml.safe_load((PARAMS / f"{stem}.yaml").read_text())


rule all:
    input:
        expand(RUNS / "{stem}.ipynb", stem=STEMS),


rule notebook:
    input:
        notebook=lambda wildcards: f"notebooks/{wildcards.stem.split('-')[0]}.ipynb",
        params=PARAMS / "{stem}.yaml",
        policies=makers,
        library=sorted(map(str, Path("ialelib").rglob("*.py"))),
    output:
        RUNS / "{stem}.ipynb",
    log:
        RUNS / "logs" / "{stem}.ipynb",
    # Each notebook spreads its own cycles over the processors.
    threads: workflow.cores
    shell:
        "papermill --log-output --no-progress-bar --cwd notebooks -f {input.params} "
        "{input.notebook} {log} && cp {log} {output}"


onerror:
    print(f"\nThe notebook that failed, with its error, is in {(RUNS / 'logs').resolve()}")
