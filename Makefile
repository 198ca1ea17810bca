# make demo    the whole sweep on the embedded digits, into demo/
# make test    format, lint, types and tests
# make check   the first three, and the tests that train nothing, in little more than a minute
# make lint    only the first three
# make notebooks  every notebook again, in place
# make bench   the published recipe and ours, timed side by side
# make figures every picture of the README, from saved-models
# make audit   known vulnerabilities of the pinned requirements; needs a network
# make lock    pin the newest versions of what pyproject.toml asks for

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

## A file of tests stays in one process, so that what its tests share is made once.
TWO_PROCESSES := -n 2 --dist loadfile
WITHOUT_TRAINING := tests/test_imports.py tests/test_text.py tests/test_packaging.py tests/data \
  tests/metrics tests/plots tests/storage tests/models/test_cutting.py tests/models/test_answers.py \
  tests/models/test_layers.py tests/models/test_losses.py tests/models/test_recipes.py

.DEFAULT_GOAL := help
.PHONY: help demo test check lint notebooks bench figures audit lock clean

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
	$(BIN)/python -m pytest $(TWO_PROCESSES)

check: lint
	$(BIN)/python -m pytest $(TWO_PROCESSES) $(WITHOUT_TRAINING)

notebooks: $(BIN)/cladec
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace create-models/*.ipynb eval/*.ipynb

bench: $(BIN)/cladec
	$(BIN)/python benchmarks/sweep.py

figures: $(BIN)/pytest
	$(BIN)/python benchmarks/figures.py

audit: $(BIN)/pytest
	@$(BIN)/python -c 'import requests; requests.head("https://api.osv.dev", timeout=10)' 2> /dev/null || \
	  { echo "make audit asks api.osv.dev for known vulnerabilities and cannot reach it from here"; exit 2; }
	$(BIN)/pip-audit --vulnerability-service osv --disable-pip --require-hashes \
	  --requirement requirements.txt --requirement requirements-dev.txt

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" pyproject.toml \
	  --extra tensorflow --extra datasets --extra shap --extra notebooks -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --custom-compile-command "make lock" --constraint requirements.txt \
	  --group dev -o requirements-dev.txt

clean:
	rm -rf $(VENV) demo build dist
