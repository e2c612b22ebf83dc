# make demo: the whole paper in miniature · make test: the tests · make help: the rest
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# uv from the PATH, else one of our own; it installs exactly what requirements.lock says
UV := $(or $(shell command -v uv 2>/dev/null),.venv-uv/bin/uv)
LOCKED := $(VENV)/.locked
IQA := .venv-iqa
GROUPS := base workflow gpu metrics paper dev

.PHONY: help env env-iqa demo demo-sc demo-gpu gpu-packages test test-all quick test-portable test-slurm faults doctor status docs lint format lock clean

help:
	@echo "make demo    the paper in miniature, on this machine's CPU (about five minutes)"
	@echo "make demo-sc the scale-consistent VAE of the journal extension, its chain alone (nine minutes)"
	@echo "make demo-gpu  the same on one GPU, larger: does a node work? (estimated at 8 minutes on an H100)"
	@echo "make gpu-packages  for benchmarks/gpu_check.py on a machine with torch and no network"
	@echo "make test    every room's tests and the miniature end to end, in a process a core and one more"
	@echo "make test-all  these, a SLURM cluster's, trainings killed in every way, benchmarks: as CI"
	@echo "make quick   for two minutes the tests that your change reaches; BASE=main: since main"
	@echo "make test-portable  the numeric tests as processors without AVX-512 and AVX2 compute them"
	@echo "make test-slurm  the tests on a SLURM cluster of their own (needs slurm-wlm and munge)"
	@echo "make doctor  does this cluster fit? one line a check      make status  of all trainings"
	@echo "make env     the locked environment in $(VENV); demo and test make it themselves"
	@echo "make env-iqa the environment of MUSIQ and MANIQA in $(IQA), which few tables need"
	@echo "make lint    ruff, snakefmt, snakemake --lint, lock and docs   make format    ruff, snakefmt"
	@echo "make docs    config/README.md's tables, config/schema.json, docs/rulegraph.md, from keys and rules"
	@echo "make lock    resolve requirements*.lock and envs/*.yaml anew"
	@echo "make clean   remove the miniature's results"

env: $(LOCKED)

.venv-uv/bin/uv:
	$(PYTHON) -m venv .venv-uv
	.venv-uv/bin/pip install --quiet uv

$(LOCKED): requirements.lock | $(filter .venv-uv/bin/uv,$(UV))
	test -x $(BIN)/python || $(UV) venv --quiet --python "$(shell command -v $(PYTHON))" $(VENV)
	VIRTUAL_ENV=$(VENV) $(UV) pip sync --quiet --require-hashes --compile-bytecode requirements.lock
	touch $@

env-iqa: requirements-iqa.lock | $(filter .venv-uv/bin/uv,$(UV))
	test -x $(IQA)/bin/python || $(UV) venv --quiet --python "$(shell command -v $(PYTHON))" $(IQA)
	VIRTUAL_ENV=$(IQA) $(UV) pip sync --quiet --require-hashes requirements-iqa.lock

demo: $(LOCKED)
	@$(BIN)/python scripts/demo.py
	@$(BIN)/python scripts/summary.py results/miniature

demo-sc: $(LOCKED)
	@$(BIN)/python scripts/demo.py --config config/miniature-sc.yaml
	@$(BIN)/python scripts/summary.py results/miniature-sc --table table_scunseen

demo-gpu: $(LOCKED)
	@$(BIN)/python scripts/demo.py --config config/demo-gpu.yaml --profile profiles/local
	@$(BIN)/python scripts/summary.py results/demo-gpu

# of the lock, what a machine with Python 3.12 and torch for CUDA 13.0 lacks
gpu-packages: $(LOCKED) | $(filter .venv-uv/bin/uv,$(UV))
	$(BIN)/python benchmarks/gpu_packages.py --uv $(UV) --output results/gpu-packages.tar.xz

test: $(LOCKED)
	$(BIN)/python -m pytest -n auto -m 'not long and not chaos and not sc'

test-all: $(LOCKED)
	$(BIN)/python -m pytest -n auto --durations=60 --durations-min=5

quick: $(LOCKED)
	changed=$$(git diff --name-only $(or $(BASE),HEAD) --) && \
	    $(BIN)/python tests/reach.py $$changed $$(git ls-files --others --exclude-standard)

NUMERIC := $(addprefix tests/,train vae latents generate metrics pipelines config/test_fidelity.py)
test-portable: $(LOCKED)
	$(BIN)/python -m pytest -n auto --processor avx2 $(NUMERIC)
	$(BIN)/python -m pytest -n auto --processor sse $(NUMERIC)

test-slurm: $(LOCKED)
	$(BIN)/python -m pytest tests/slurm --durations=10

faults: # docs/faults.md, from what the last test-slurm saw
	$(BIN)/python tests/slurm/faults_table.py results/faults.json docs/faults.md

doctor: $(LOCKED)
	$(BIN)/snakemake --profile slurm doctor

status: $(LOCKED)
	@$(BIN)/python scripts/status.py

docs: $(LOCKED)
	$(BIN)/python scripts/config_docs.py
	@set -o pipefail; { \
	    printf '# The rules\n\nDrawn by Snakemake for the target `all` (`make docs`).\n\n```mermaid\n' && \
	    $(BIN)/snakemake --quiet all --rulegraph mermaid-js --config run=unmade -- all \
	        | sed -n '/^flowchart/p; /^\tid/p' | awk '/-->/ {print | "sort"; next} {print; fflush()}' && \
	    printf '```\n'; } > docs/rulegraph.md.made || { rm docs/rulegraph.md.made; exit 1; }
	@mv docs/rulegraph.md.made docs/rulegraph.md
	$(BIN)/python tests/helpers/edits.py > tests/dag/edits.txt.made || { rm tests/dag/edits.txt.made; exit 1; }
	@mv tests/dag/edits.txt.made tests/dag/edits.txt

lint: $(LOCKED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/snakemake --lint
	$(BIN)/python scripts/lock_envs.py --check
	$(BIN)/python scripts/config_docs.py --check

format: $(LOCKED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile rules

lock: $(LOCKED) | $(filter .venv-uv/bin/uv,$(UV))
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	    $(addprefix --group ,$(GROUPS)) --output-file requirements.lock
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
	    --group iqa --output-file requirements-iqa.lock
	$(BIN)/python scripts/lock_envs.py --uv $(UV)

clean:
	rm -rf results/miniature
