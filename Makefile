# Needs only make and Python 3.11 to 3.13. `make run ARGS="model=forecast/naive"` passes overrides on; so do test and bench.
PYTHON ?= python3 python3.12 python3.11 python3.13
ARGS ?=
JOBS ?= 4

FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --use-pep517
PYTEST = $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder
STAMP := .venv/installed

# Where it is set, each of the two hundred Pythons that tests and workers start compiles the package anew. `make test` compiles
# the package and the tests once before, on a core each: else every process of pytest does the latter for itself.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check house fast bench bench-accuracy reference docs tutorials pictures lint types wheel smoke lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(STAMP) ## a first verdict in ten seconds, then the main job: an LSTM against its rivals (ARGS)
	$(BIN)/python -m hwds +experiment=quickstart && $(BIN)/python -m hwds +experiment=lstm_forecast $(ARGS)

test: $(STAMP) ## run the tests in JOBS processes (four fill two cores, for some wait); those on public data need HWDS_DATA
	$(BIN)/python -m compileall -q hwds & $(BIN)/python -m pytest --collect-only -q $(ARGS) > /dev/null; wait
	$(PYTEST) $(ARGS)

check: lint ## check style, size and types, and run the half of the tests that is fast: two minutes or so
	@$(MAKE) --no-print-directory house
	@$(MAKE) --no-print-directory -j 2 types fast

house: $(STAMP) ## print the size of the package; fails beyond its limits
	@$(BIN)/python -m tests.support.house

fast: $(STAMP)
	$(PYTEST) -m "not slow" $(ARGS)

bench: $(STAMP) ## print speed ratios against rival libraries
	$(BIN)/python -m bench $(ARGS)

bench-accuracy: $(STAMP) ## published tables beside ours (HWDS_DATA); hours the first time, and goes on where it was
	$(BIN)/python -m bench.accuracy $(ARGS)

reference: $(STAMP) ## write docs/reference/: every option with what its settings mean, and the roles of columns
	$(BIN)/python -m hwds describe --pages docs/reference > /dev/null

pictures: $(STAMP) ## run the commands that README shows; write their outputs and docs/pictures/ (needs Chromium)
	$(BIN)/python -m tests.support.shown

docs: $(STAMP) ## build the documentation in build/site; index.html there opens without a server
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

tutorials: $(STAMP) ## run the tutorials, and write what they print now and their pictures into docs/tutorials
	WRITE_TUTORIALS=1 $(PYTEST) tests/docs/test_tutorials.py $(ARGS)

lint: $(STAMP) ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP) ## check the types
	$(BIN)/mypy hwds

# A build/ left from before would put files that are gone into the wheel.
wheel: $(STAMP) ## build dist/hwds-*.whl
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-build-isolation --no-deps --wheel-dir dist .
	@ls dist/*.whl

# Another folder, and nothing but what the wheel asks for.
smoke: wheel ## install the wheel and its dependencies into an empty environment, and run the quickstart there
	rm -rf build/smoke
	$(BIN)/python -m venv build/smoke
	build/smoke/bin/python -m pip install --quiet --disable-pip-version-check dist/hwds-*.whl
	cd build/smoke && bin/hwds --version && bin/hwds +experiment=quickstart && bin/hwds report quickstart

# One version for all Pythons, and so the same figures. The marker that all lines bear says nothing, so it goes.
lock: $(STAMP) ## pin requirements.lock to pyproject.toml again; UPGRADE=--upgrade takes newer releases
	$(BIN)/python -m venv build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	build/lock/bin/uv pip compile pyproject.toml --extra dev --output-file requirements.lock --quiet $(UPGRADE) \
	    --universal --python-version 3.11 --fork-strategy fewest --annotation-style line --custom-compile-command 'make lock'
	sed -e "s/ ; python_full_version < '3.14'  / /" -e "s/python_full_version < '3.14' and //" requirements.lock > build/lock/new
	mv build/lock/new requirements.lock
	touch $(STAMP)

clean: ## remove builds and caches; .venv and outputs stay
	rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find hwds tests -name __pycache__ -prune -exec rm -rf {} +

# The lock pins setuptools too, and what is built here is built with it, so that nothing outside the lock decides a build.
# uv installs in a third of pip's time; pip does it where uv cannot.
$(STAMP): requirements.lock pyproject.toml setup.py
	@if ! $(BIN)/python -c '$(FITS)' 2>/dev/null; then \
	    for python in $(PYTHON) none; do $$python -c '$(FITS)' 2>/dev/null && break; done; \
	    test "$$python" != none || { echo "make: needs Python 3.11 to 3.13 with venv and ensurepip (Debian: apt install" \
	        "python3-venv), and none of these is one: $(PYTHON). Name it: make PYTHON=/path/to/python" >&2; exit 1; }; \
	    $$python -m venv --clear .venv; \
	fi
	@echo "Installing requirements.lock into .venv; the first time 1.3 GB are fetched (4 GB on disk), which takes two minutes or so."
	@$(PIP) $$(grep -oE '^(setuptools|uv|wheel)==[^ ;]+' requirements.lock)
	@$(BIN)/uv pip install --quiet --no-build-isolation --python $(BIN)/python -r requirements.lock || $(PIP) -r requirements.lock
	@$(PIP) --no-deps --editable .
	@touch $@
