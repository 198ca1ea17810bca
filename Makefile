# make demo    train and evaluate the whole sweep on the embedded digits, into demo/report.html
# make test    check format, lint and types, and run all tests
# make check   make lint, and the tests that train no model, in little more than a minute
# make lint    check format, lint and types
# make notebooks  run every notebook again, in place
# make bench   time the recipe of cladec-mnist and ours side by side
# make bench-quick  print ratios to the committed times of training, explainers, report and start
# make torch   install PyTorch without CUDA, so that the tests on that backend are not skipped
# make figures draw every picture of README and docs, from saved-models
# make tables  write the numbers of README and docs, from eval/evaluation_runs.csv
# make docs    build the documentation, into build/docs/site
# make audit   look for known vulnerabilities of the pinned requirements; needs a network
# make lock    pin the newest versions of the requirements in pyproject.toml

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

## All tests of a file run in one process, so that their fixtures are made once.
TWO_PROCESSES := -n 2 --dist loadfile --no-loadscope-reorder
## PyPI's PyTorch for Linux brings gigabytes of CUDA, so it is none of the pinned requirements.
TORCH := torch==2.13.0+cpu
## Benchmarks are checked for names that are no longer there, not for types.
TYPES := arg-type assignment call-arg call-overload import-not-found import-untyped list-item misc \
  operator str-bytes-safe str-unpack union-attr valid-type
WITHOUT_TRAINING := tests/test_imports.py tests/test_text.py tests/test_packaging.py tests/data \
  tests/metrics tests/plots tests/storage tests/models/test_cutting.py tests/models/test_answers.py \
  tests/models/test_layers.py tests/models/test_losses.py tests/models/test_recipes.py

## Where this is set nothing is compiled, and every process that a test starts takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test check lint torch notebooks bench bench-quick figures tables docs audit lock clean

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
	$(BIN)/cladec report --models demo/saved-models --out demo/report.html

lint: $(BIN)/pytest
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	MYPYPATH=benchmarks $(BIN)/mypy $(addprefix --disable-error-code=,$(TYPES)) benchmarks/*.py

test: lint
	$(BIN)/python -m pytest $(TWO_PROCESSES)

check: lint
	$(BIN)/python -m pytest $(TWO_PROCESSES) $(WITHOUT_TRAINING)

torch: $(BIN)/pytest
	$(BIN)/python -m pip install --quiet '$(TORCH)'

notebooks: $(BIN)/cladec
	$(BIN)/jupyter nbconvert --to notebook --execute --inplace create-models/*.ipynb eval/*.ipynb

bench: $(BIN)/cladec
	$(BIN)/python benchmarks/sweep.py

bench-quick: $(BIN)/cladec
	$(BIN)/python benchmarks/quick.py

figures: $(BIN)/pytest
	$(BIN)/python benchmarks/figures.py
	$(BIN)/python benchmarks/explainer_figures.py

tables: $(BIN)/cladec
	$(BIN)/python benchmarks/tables.py

docs: $(BIN)/pytest
	$(BIN)/python docs/build_site.py

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
