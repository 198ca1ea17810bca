# make demo    the whole sweep on the embedded digits, into demo/
# make test    format, lint, types and tests
# make lint    only the first three
# make bench   the published recipe and ours, timed side by side
# make lock    pin the newest versions of what pyproject.toml asks for

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help demo test lint bench lock clean

help:
	@sed -n 's/^# //p' Makefile

$(BIN)/cladec: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
	  { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 -m venv failed; on Debian: apt install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

$(BIN)/pytest: $(BIN)/cladec requirements-dev.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

demo: $(BIN)/cladec
	$(BIN)/python create_models.py --datasets digits --out demo/saved-models
	$(BIN)/python eval.py --models demo/saved-models --out demo/eval

lint: $(BIN)/pytest
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

test: lint
	$(BIN)/python -m pytest

bench: $(BIN)/cladec
	$(BIN)/python benchmarks/sweep.py

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --constraint requirements.txt \
	  --group dev -o requirements-dev.txt

clean:
	rm -rf $(VENV) demo build dist
