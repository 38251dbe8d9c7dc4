# heliodock: everything a developer types. `make` alone prints the list.

PYTHON     ?= python3
VENV       := .venv
BIN        := $(VENV)/bin
STAMP      := $(VENV)/.ready
LOCK_VENV  := .venv-lock
PACKAGES   := $(patsubst %/__init__.py,%,$(wildcard $(addsuffix /__init__.py,\
              station configs drivers optimizer northbound controller hil cli benchmarks deploy/grafana)))
BENCHMARKS ?= $(sort $(basename $(notdir $(filter-out benchmarks/_%,$(wildcard benchmarks/*.py)))))
WORKERS    ?= 2
DEMO_ARGS  ?=
TWIN_ARGS  ?=
TEST_ARGS  ?=
BENCH_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup check format test demo twin bench image-test lock clean

help:
	@echo "make setup   make $(VENV) with everything that is needed (skipped when up to date)"
	@echo "make check   style, types, layers, architecture: seconds"
	@echo "make test    check, then all tests"
	@echo "make demo    an emulated station on real sockets, controlled   DEMO_ARGS=\"--headless --hours 2\""
	@echo "make twin    the demo station in virtual time                  TWIN_ARGS=\"--days 7\""
	@echo "make bench   all benchmarks, one after another                 BENCH_ARGS=..."
	@echo "make image-test  build the container image without an engine and run it (root; not in make test)"
	@echo "make format  let ruff write the format"
	@echo "make lock    resolve the dependencies again (needs the network)"
	@echo "make clean   remove the environment, caches and run results"

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	@echo "setup: making $(VENV) with $$($(PYTHON) --version)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: installing the locked packages (hashes are checked)"
	@# --no-deps: the lock names everything, so that pip need not resolve (old pips then meet releases newer than the lock)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@echo "setup: installing heliodock itself, editable"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m pip check -q --disable-pip-version-check
	@touch $@
	@echo "setup: done; the command is $(BIN)/heliodock"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy $(PACKAGES)
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/architecture

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

test: check
	@bash tests/system_packages.sh
	@echo "the safety gate, every branch:"
	$(BIN)/pytest -q tests/unit/controller/test_safety.py --cov=controller.safety --cov-branch --cov-report= --cov-fail-under=100
	$(BIN)/pytest -n $(WORKERS) --dist loadgroup --ignore=tests/architecture $(TEST_ARGS)

demo: setup
	$(BIN)/heliodock demo $(DEMO_ARGS)

twin: setup
	$(BIN)/heliodock twin configs/stations/demo.yaml $(TWIN_ARGS)

bench: setup
	@set -e; for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name $(BENCH_ARGS); done

image-test:
	@deploy/image_test.sh

# Both locks hold every wheel's hash, for x86_64 and aarch64 alike, and no server's name.
lock:
	@test -x $(LOCK_VENV)/bin/uv || { $(PYTHON) -m venv $(LOCK_VENV) && $(LOCK_VENV)/bin/pip install -q --disable-pip-version-check uv; }
	$(LOCK_VENV)/bin/uv pip compile $(LOCK_FLAGS) -o requirements.lock pyproject.toml
	$(LOCK_VENV)/bin/uv pip compile $(LOCK_FLAGS) --extra dev --constraint requirements.lock -o requirements-dev.lock pyproject.toml

LOCK_FLAGS := --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --upgrade \
              --no-annotate --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock"

clean:
	rm -rf $(VENV) $(LOCK_VENV) build dist runs .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	rm -rf .coverage .coverage.* htmlcov *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
