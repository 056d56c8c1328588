# Everything is installed into .venv from the lock files; nothing else on the machine is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test lint docs chart reference deployments first bench image-dry lock clean

run: $(VENV)/.run
	$(BIN)/mlo up --simulate

# A file's tests stay together, because they share servers.
test: $(VENV)/.dev
	$(BIN)/pytest --numprocesses=3 --dist=loadfile -m "not alone"
	$(BIN)/pytest -m alone

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The pages of docs/ as a site in build/site; a warning is an error.
docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What the Helm chart knows of the settings.
chart: $(VENV)/.dev
	$(BIN)/python -m helm.generate

# The pages that are made from the code: every setting, every limit.
reference: $(VENV)/.dev
	$(BIN)/python -m docs.generate

# From a clone to the first recommendation, timed, in an empty home.
first:
	$(PYTHON) benchmarks/first_recommendation.py

# What `prefect deploy` deploys, from what `mlo up` registers.
deployments: $(VENV)/.dev
	$(BIN)/python -m deployments.prefect_yaml

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.exposition
	$(BIN)/python -m benchmarks.cycle
	$(BIN)/python -m benchmarks.cadence
	$(BIN)/python -m benchmarks.protect
	$(BIN)/python -m benchmarks.screens
	$(BIN)/python -m benchmarks.calm
	$(BIN)/python -m benchmarks.backfill
	$(BIN)/python -m benchmarks.cost_views

# The steps of the Dockerfile in a clean folder, where there is no engine to build it, and a start of
# what comes out of them.
image-dry: $(VENV)/.dev
	$(BIN)/python -m tests.image.dry

$(VENV)/.run: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed; set PYTHON=...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.run requirements-dev.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.lock
	touch $@

# Resolves pyproject.toml anew in an empty environment and writes both lock files.
lock:
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet .
	build/lock/bin/python -m pip uninstall --quiet --yes mimir-limit-optimizer
	{ echo "# What was tested together. Exact versions, written by 'make lock'."; \
	  build/lock/bin/python -m pip freeze; } > requirements.lock
	build/lock/bin/python -m pip install --quiet --upgrade pip
	build/lock/bin/python -m pip install --quiet --group dev
	{ echo "# requirements.lock and what the tests and linters need besides. Written by 'make lock'."; \
	  echo "-r requirements.lock"; \
	  build/lock/bin/python -m pip freeze | grep --invert-match --line-regexp --fixed-strings --file=requirements.lock; \
	} > requirements-dev.lock
	rm -rf build/lock

clean:
	rm -rf $(VENV) build dist
