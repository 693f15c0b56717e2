# Needs only make and Python 3.11 or newer; everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
TESTBED ?= .testbed-test# where the servers of `make test-cluster` are
BED := $(BIN)/python -m testbed --folder $(TESTBED)
UV_VERSION = $(shell sed -n '/^name = "uv"$$/{n;s/^version = "\(.*\)"/\1/p;}' uv.lock)

.PHONY: help setup test test-cluster testbed testbed-down lint demo bench docs clean

help: ## Show this.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

setup: .venv/.synced ## Make .venv and install what uv.lock names into it.

test: setup ## Run every test; those that start Ray go one at a time.
	$(BIN)/pytest -n 2 --dist loadgroup

test-cluster: setup ## Run the tests on real Kubernetes with KubeRay, as root: clusters are started for them, and ended.
	$(BIN)/python -m testbed cluster install
	trap '$(BED) cluster down; $(BED) down' EXIT; trap 'exit 130' INT; trap 'exit 143' TERM; \
		$(BED) up mysql && $(BED) cluster up && addresses=$$($(BED) env && $(BED) cluster env) && eval "$$addresses" && \
		$(BIN)/pytest tests/cluster

testbed: setup ## Start MySQL and two Kubernetes clusters with KubeRay, as root, and print how they are reached.
	$(BIN)/python -m testbed cluster install
	$(BIN)/python -m testbed up mysql
	$(BIN)/python -m testbed cluster up
	@$(BIN)/python -m testbed env
	@$(BIN)/python -m testbed cluster env

testbed-down: setup ## End what `make testbed` started, and leave nothing of it.
	$(BIN)/python -m testbed cluster down
	$(BIN)/python -m testbed down

lint: setup ## Check style, types, sizes and who imports whom; changes nothing.
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/python -m tools.sizes
	$(BIN)/lint-imports

demo: setup ## Run a real hyper-parameter search on a platform of its own, then take all of it down.
	$(BIN)/python demo/run.py

bench: setup ## Measure everything on durable servers of its own: half an hour, on a machine with nothing else to do.
	$(BIN)/python -m testbed --folder .bench up --durable --keep
	eval "$$($(BIN)/python -m testbed --folder .bench env)" && $(BIN)/python -m benchmarks --all $(BENCH); \
		code=$$?; $(BIN)/python -m testbed --folder .bench down; exit $$code

docs: setup ## Write anew what the docs take from the code.
	$(BIN)/python -m tools.docs

clean: ## Remove .venv, caches and what the demo left.
	rm -rf .venv .bench .demo .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .coverage*

.venv/.synced: pyproject.toml uv.lock | $(BIN)/uv
	$(BIN)/uv sync --locked
	@touch $@

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.x")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
