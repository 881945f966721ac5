# Every target sets up .venv by itself when it is missing or out of date.
PYTHON ?= python3
PROFILE ?= quick
ACQ ?= 10
THEME ?= light
PORT ?= 8866
CORES ?= $(shell nproc 2>/dev/null || sysctl -n hw.ncpu)
WHERE ?= $(if $(SLURM),--profile profiles/slurm,--cores $(CORES))
BIN := .venv/bin
export PYTHONHASHSEED := 0
# All runs with the project's own settings, whatever the user's for plots and batches.
export MATPLOTLIBRC := /dev/null
unexport MPLBACKEND PYTHONOPTIMIZE PYTHONSTARTUP PYTHONWARNINGS SNAKEMAKE_PROFILE

.PHONY: help setup reproduce figures gallery a21 cost test soak bench lab demo format clean
help:
	@echo "make reproduce   run every notebook in its quick profile on the shipped data (PROFILE=cpu|paper for more); resumes after a stop"
	@echo "make figures     the same without the gallery; make fig03a draws one figure of the paper, by its name"
	@echo "make gallery     one page of all executed notebooks, in runs/PROFILE/gallery"
	@echo "make test        lint, types, unit tests, and every notebook executed and its outputs compared"
	@echo "make soak        a hundred kills at random moments, twenty reloads of the demo, and the same results after them (an hour)"
	@echo "make bench       speed and memory against plain references, in benchmarks/ (an hour; ACQ=40 for less)"
	@echo "make lab         open the notebooks in JupyterLab"
	@echo "make demo        an interactive Figure 1, as a web page on this machine only (THEME=dark; BROWSER=no)"
	@echo "make format      format code and notebooks"
	@echo "make clean       remove .venv and caches; what was computed (runs) or labelled (labels) stays"

setup: .venv/ready
.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "ialelib needs Python 3.11 or newer; name one: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# The OS releases this lock when its holder is killed; Snakemake's own would stay.
BATCH = @PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m ialelib.runner.lock runs/.lock \
	$(BIN)/python -m ialelib.runner.console "$(PROFILE)"

reproduce: setup
	$(BATCH) all $(WHERE)

# Two rules, as make wants patterns by themselves.
figures a21 cost: setup
	$(BATCH) $@ $(WHERE)
fig%: setup
	$(BATCH) $@ $(WHERE)

gallery: setup
	$(BIN)/python -m ialelib.runner.gallery "$(PROFILE)"

test: export IPYTHONDIR = $(CURDIR)/.venv/ipython
test: setup
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=900 \
		-n $(CORES) --dist loadfile --no-loadscope-reorder notebooks tests

soak: setup
	IALE_SOAK=10 $(BIN)/python -m pytest tests/soak tests/runner/test_batch_kill.py tests/demo/test_browser_kernels.py

bench: setup
	$(BIN)/python benchmarks/bench.py --acq $(ACQ)

lab: setup
	$(BIN)/jupyter lab --notebook-dir=. notebooks/00_index.ipynb

# Under notebooks/ lies the template. With `exec` Voila itself gets the signal that ends make.
demo: setup
	JUPYTER_PATH="$(CURDIR)/notebooks$${JUPYTER_PATH:+:$$JUPYTER_PATH}" exec $(BIN)/voila notebooks/voila/demo.ipynb \
		--Voila.config_file_paths=notebooks/voila --port=$(PORT) --theme=$(THEME) \
		$(if $(filter no,$(BROWSER)),--no-browser)

format: setup
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# Only in our own folders, and not in what somebody keeps there.
clean:
	rm -rf .venv build dist .snakemake .pytest_cache .mypy_cache .ruff_cache .hypothesis ialelib.egg-info
	find ialelib tests benchmarks notebooks \( -name 'labels*' -o -name 'runs*' \) -prune -o \
		-type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +
