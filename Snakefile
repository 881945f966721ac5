# Policies are trained, cycles run and figures drawn by notebooks; one rule runs them all. A notebook
# and its params file, NOTEBOOK.yaml or NOTEBOOK-VARIANT.yaml, give an executed notebook and, from
# inside it, figures, tables and policies. The gallery shows the executed notebooks.
from pathlib import Path

import yaml

from ialelib import figure_table
from ialelib.errors import InputError

PROFILE = config.get("profile", "quick")
PARAMS = Path("params") / PROFILE
RUNS = Path("runs") / PROFILE
STEMS = sorted(path.stem for path in PARAMS.glob("*.yaml"))
if not STEMS:
    profiles = sorted(path.name for path in Path("params").iterdir())
    raise WorkflowError(f"no params files in {PARAMS}; profiles are {', '.join(profiles)}")
# Notebooks never import the modules that run them.
ENGINE = ("alone", "batch", "execute", "figure_table", "gallery", "pages")
LIBRARY = sorted(str(path) for path in Path("ialelib").rglob("*.py") if path.stem not in ENGINE)


def drawn():
    """The notebooks that are asked for: all of the profile, or the one that draws a figure."""
    if "figure" not in config:
        return STEMS
    table = yaml.safe_load(Path("figures.yaml").read_text())
    try:
        return [figure_table.stem(config["figure"], table, STEMS)]
    except InputError as error:
        raise WorkflowError(str(error))


def needs(wildcards):
    """What a notebook reads: policies and tables, or the notebooks of this profile that make them."""
    wanted = read(wildcards.stem)
    makers = [stem for stem in STEMS if made(stem) & wanted]
    others = wanted.difference(*map(made, makers))
    files = [path for name in sorted(others) for path in (Path("policies") / f"{name}.safetensors", Path(name))]
    return [RUNS / f"{stem}.ipynb" for stem in makers] + [path for path in files if path.is_file()]


def read(stem):
    """Names of policies and paths of tables that a params file asks for."""
    found = values(stem)
    lists = [found.get(name, []) for name in ("policies", "compared", "curves")]
    return {found.get("policy"), found.get("alil"), *sum(lists, [])} - {None}


def made(stem):
    """Names of policies and paths of tables, as `ialelib.strict.Params.makes` has them."""
    found = values(stem)
    return {found.get("save_policy"), f"{found['figures']}/{stem.split('-')[0]}_curves.csv"}


def values(stem):
    return yaml.safe_load((PARAMS / f"{stem}.yaml").read_text())


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
    # Each notebook spreads its own cycles over this many processes.
    threads: lambda wildcards: values(wildcards.stem).get("processes", 1)
    shell:
        "python -m ialelib.execute {input.notebook} {input.params} {log} {output}"


rule gallery:
    input:
        rules.figures.input,
        "ialelib/gallery.py",
    output:
        RUNS / "gallery" / "index.html",
    shell:
        "python -m ialelib.gallery {PROFILE}"


onsuccess:
    for folder in sorted({values(stem)["figures"] for stem in drawn()}):
        print(f"Figures and tables: {Path(folder).resolve()}")
    print(f"Executed notebooks: {RUNS.resolve()}")


onerror:
    print(f"\nA notebook that failed is kept with its error in {(RUNS / 'logs').resolve()}")
