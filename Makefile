# The verbs of this project. Each sets up what it needs; `make help` lists them.
.DEFAULT_GOAL := help
PYTHON ?= python3
SHELL := /bin/bash
# A cron job or a service may have no PATH at all.
export PATH := $(CURDIR)/.venv/bin:$(or $(PATH),/usr/local/bin:/usr/bin:/bin)
# A terminal's own settings must not reach the sandbox: only Meltano's environments decide where data goes.
unexport MELTANO_ENVIRONMENT
# The verbs start hundreds of processes: none has to compile what another has compiled, a whole Airflow among it.
unexport PYTHONDONTWRITEBYTECODE
SETUP := .venv/.set-up
DEVELOPER := .venv/.set-up-developer
# What a user's own runs need besides, such as the driver of a database (docs/upgrading.md): git leaves it alone.
OWN := $(wildcard requirements-shop.txt)
.SHELLFLAGS := -o pipefail -c

help: ## List these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Two steps, each made anew when its pins have changed: what a run needs, and what the developers' verbs need besides.
# $(1) is the file of pins.
define install
	@echo "Installing $$(grep -c '^[a-z].*==' $(1)) packages of $(1) into .venv; with a fresh cache this takes a minute or two ..."
	@.venv/bin/pip install --disable-pip-version-check --require-hashes --no-deps --requirement $(1) 2>&1 | $(PROGRESS)
endef
# A dot for each package that pip turns to; what goes wrong is shown as pip says it.
PROGRESS = awk '/^Collecting |^Requirement already/ {printf "."; fflush(); next} /^ERROR|^error|[Tt]raceback|HASHES/ {print; bad=1; next} bad {print} END {print ""}'

setup: $(SETUP) ## Make .venv with what a run needs: the pinned packages and this project

$(SETUP): requirements.txt pyproject.toml $(OWN)
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed: make PYTHON=python3.12 ...") if sys.version_info < (3, 10) else None'
	@$(PYTHON) -m venv --clear .venv
	$(call install,requirements.txt)
	@.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(if $(OWN),.venv/bin/pip install --quiet --disable-pip-version-check --no-deps --requirement $(OWN))
	@[ -e shop.meltano.yml ] || cp shop.meltano.example.yml shop.meltano.yml
	@[ ! -d .git/hooks ] || [ -e .git/hooks/post-merge ] || install -m 755 release/post-merge .git/hooks/post-merge
	@touch $@
	@echo "Ready: source .venv/bin/activate"

$(DEVELOPER): $(SETUP) requirements-dev.txt
	$(call install,requirements-dev.txt)
	@touch $@

demo: setup ## Bring the sandbox's store into the sandbox's PostHog, and show what arrived
	@python -m sandbox demo

sandbox: setup ## Open the sandbox again, as the demo left it
	@python -m sandbox start

quick: $(DEVELOPER) ## Pass the tests that only calculate, in under a minute
	pytest -m pure --numprocesses 2 --dist loadfile --quiet

# More workers than cores, as tests also wait; a file stays with one of them, which makes its fixtures once.
test: $(DEVELOPER) ## Pass all tests; COVERAGE=1 shows the branches that they don't reach
	pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder $(if $(COVERAGE),--cov)

# They take minutes each, and fetch programs of others.
test-scale: $(DEVELOPER) ## Pass the tests of many stores, faults, the page in a browser, the documents' steps: Airflow, memory, kills
	pytest tests/orchestrate tests/tap/stores tests/walks tests/page tests/benchmarks tests/faults --numprocesses 3 --dist loadfile

# They stand on what others made and is too large for every set-up; tests/outside/README.md says what.
test-outside: $(DEVELOPER) ## Pass the tests on PostHog's grammar, ClickHouse and others' plugins (1.5 GB)
	python -m tests.outside.environments
	pytest tests/outside

faults: $(DEVELOPER) ## Break everything on purpose and look what arrives; RUNS=20 SEED=1
	python -m tests.faults --runs $(or $(RUNS),20) --seed $(or $(SEED),1)

lint: $(DEVELOPER) ## Check style, types and the import law
	ruff check
	ruff format --check
	mypy
	lint-imports

docs: $(DEVELOPER) ## Write the generated parts of the documents anew
	python -m docs.generate

# In an environment of its own: a run and the tests need none of it. Python 3.11 or newer.
site: .venv-site/.set-up ## Build the documents as a site, strictly: each link and anchor leads somewhere
	@NO_MKDOCS_2_WARNING=1 .venv-site/bin/mkdocs build --strict --quiet
	@echo "site/index.html"

.venv-site/.set-up: docs/requirements-site.txt
	@$(PYTHON) -m venv --clear .venv-site
	@.venv-site/bin/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --requirement $<
	@touch $@

benchmark: $(DEVELOPER) ## Measure tap, target and both; ORDERS=10000 sets the size of the store
	python -m benchmarks --orders $(or $(ORDERS),10000)

materials: ## List the licences of what users install, and write an SBOM, both to dist/
	$(PYTHON) -m release.materials

release-check: $(DEVELOPER) ## Do all of a release but the push: build once, look through, install, run
	python -m release.check
	python -m release.materials

walk: ## Walk through README and first run as a newcomer, in a fresh clone with an empty environment
	@$(PYTHON) release/walk.py

clean: ## Remove what set-up, sandbox and tests have left; asks before it takes what your runs need (YES=1 doesn't)
	@[ ! -x .venv/bin/python ] || .venv/bin/python -m sandbox stop
	rm -rf .venv .venv-site .outside .sandbox dist site .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
	@[ ! -e .meltano ] && [ ! -e .receipts ] && [ ! -e .preview ] || { \
	  echo "Left are .meltano (bookmarks and logs of your runs), .receipts (what PostHog has) and .preview (customers' data)."; \
	  echo "Without .meltano the next run reads the whole shop again; without .receipts it sends everything again."; \
	  answer="$(YES)"; [ -n "$$answer" ] || { [ -t 0 ] && read -r -p "Remove them too? [y/N] " answer; }; \
	  case "$$answer" in [yY1]*) rm -rf .meltano .receipts .preview; echo "Removed." ;; *) echo "Kept." ;; esac; }

.PHONY: help setup demo sandbox quick test test-scale test-outside faults lint docs site benchmark materials release-check walk clean
