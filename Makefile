# The verbs of this project. Each sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
SHELL := /bin/bash
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# A terminal's own settings must not reach the sandbox: only Meltano's environments decide where data goes.
unexport MELTANO_ENVIRONMENT
# The verbs start hundreds of processes: none has to compile what another has compiled, a whole Airflow among it.
unexport PYTHONDONTWRITEBYTECODE
SETUP := .venv/.set-up

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(SETUP) ## Make .venv with the pinned packages and this project

$(SETUP): requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 10) else None'
	$(PYTHON) -m venv --clear .venv
	.venv/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement requirements.txt
	.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: setup ## Bring the sandbox's store into the sandbox's PostHog, and show what arrived
	@python -m sandbox demo

sandbox: setup ## Open the sandbox again, as the demo left it
	@python -m sandbox start

# More workers than cores, as tests also wait; a file stays with one of them, which makes its fixtures once.
test: setup ## Pass all tests
	pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

# They stand on what others made and is too large for every set-up; tests/outside/README.md says what.
test-outside: setup ## Pass the tests on PostHog's grammar, ClickHouse and others' plugins (1 GB)
	python -m tests.outside.environments
	pytest tests/outside

faults: setup ## Break everything on purpose and look what arrives; RUNS=20 SEED=1
	python -m tests.faults --runs $(or $(RUNS),20) --seed $(or $(SEED),1)

lint: setup ## Check style and types
	ruff check
	ruff format --check
	mypy

docs: setup ## Write the generated parts of the documents anew
	python -m docs.generate

benchmark: setup ## Measure tap, target and both; ORDERS=10000 sets the size of the store
	python -m benchmarks --orders $(or $(ORDERS),10000)

clean: ## Remove what set-up, sandbox and runs have left
	[ ! -x .venv/bin/python ] || .venv/bin/python -m sandbox stop
	rm -rf .venv .outside .sandbox .preview .meltano .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage*

.PHONY: help setup demo sandbox test test-outside faults lint docs benchmark clean
