# Gossamer's one entrance for people: `make` lists what there is.
#
# Every step leaves a stamp in .venv/.stamps and runs again only when what it depends on has changed.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

# Which Python makes .venv; by default python3, or the first newer one that is 3.11 at least.
PYTHON ?=
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/.stamps
PORT ?= 6379
DATA ?= data
# installed: the package as users run it, which is compiled unless the machine has no C compiler.
# compiled: the same, but refuse to run when it is not. interpreted: the same files, straight from src.
MODE ?= installed
TESTS ?= tests
INPUTS ?= 1000000
EXAMPLES ?= 1000
STATES ?= 100000
CYCLES ?= 200
RUNS ?=
SECONDS ?= 20
PARALLEL ?= 2
SEQUENCES ?= 300
SEEDS ?= 5000
ARGS ?=

SOURCES := $(shell find src -name '*.py' -o -name '*.json' -o -name '*.lua' -o -name py.typed) setup.py pyproject.toml
# Another choice of mode or compiler flags is another install.
WANTED := $(STAMPS)/wanted-$(shell echo '$(GOSSAMER_COMPILE) $(GOSSAMER_CFLAGS) $(CC)' | cksum | cut -d' ' -f1)

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONUTF8 := 1

.PHONY: help setup up down test check format fuzz payloads conformance campaign crash replication sentinels kill chaos failovers bench clean distclean

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMPS)/installed ## make .venv with the gossamer command in it, hot modules compiled

$(STAMPS)/venv:
	@tools/make-venv $(VENV) $(PYTHON)
	@mkdir -p $(STAMPS) && touch $@

$(WANTED): | $(STAMPS)/venv
	@rm -f $(STAMPS)/wanted-* && touch $@

$(STAMPS)/build-tools: pyproject.toml | $(STAMPS)/venv
	@echo "gossamer: installing the build tools and the run-time libraries into $(VENV)"
	@$(BIN)/python tools/requirements.py build runtime > $(STAMPS)/requirements.txt
	@$(BIN)/python -m pip install --quiet --requirement $(STAMPS)/requirements.txt
	@touch $@

$(STAMPS)/installed: $(SOURCES) LICENSE README.md $(WANTED) $(STAMPS)/build-tools
	@rm -rf build/wheel && $(BIN)/python tools/build_wheel.py build/wheel
	@$(BIN)/python -m pip install --quiet --no-deps --force-reinstall --no-index build/wheel/*.whl
	@touch $@
	@$(BIN)/python -c 'import gossamer; from gossamer.base import build; \
		print("gossamer: installed", gossamer.__version__, build.mode())'

up: setup ## start a server on port 6379 (PORT=...) that keeps its data in ./data (DATA=...)
	@BIN=$(BIN) tools/up $(PORT) $(DATA)

down: ## stop the server that `make up` started
	@tools/down $(PORT) $(DATA)

$(STAMPS)/test-tools: pyproject.toml | $(STAMPS)/venv
	@echo "gossamer: installing what the tests need into $(VENV)"
	@$(BIN)/python tools/requirements.py test dev > $(STAMPS)/requirements-test.txt
	@$(BIN)/python -m pip install --quiet --requirement $(STAMPS)/requirements-test.txt
	@touch $@

test: $(if $(filter interpreted,$(MODE)),$(STAMPS)/build-tools,$(STAMPS)/installed) $(STAMPS)/test-tools ## run the suite; MODE=interpreted runs the sources, TESTS=... ARGS=... narrow it
	@env GOSSAMER_TEST_MODE=$(MODE) $(if $(filter interpreted,$(MODE)),PYTHONPATH=$(CURDIR)/src) \
		$(BIN)/python -m pytest $(TESTS) $(ARGS)

check: $(STAMPS)/build-tools $(STAMPS)/test-tools ## lint, formatting, strict types, the order of the layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --cache-dir $(VENV)/.mypy-cache src/gossamer
	$(BIN)/mypy --cache-dir $(VENV)/.mypy-cache tests tools
	PYTHONPATH=$(CURDIR)/src $(BIN)/python -m pytest -q tests/test_layers.py

format: $(STAMPS)/test-tools ## let ruff format everything and mend what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

fuzz: setup $(STAMPS)/test-tools ## a million damaged and split inputs for the request parser; INPUTS=... ARGS="--seed 1"
	@PYTHONPATH=tests $(BIN)/python -m support.parser_fuzz --inputs $(INPUTS) $(ARGS)

payloads: setup $(STAMPS)/test-tools ## restore a million damaged payloads and libraries, use what is taken; INPUTS=... ARGS="--seed 1"
	@PYTHONPATH=tests $(BIN)/python -m support.payload_fuzz --inputs $(INPUTS) $(ARGS)

conformance: setup $(STAMPS)/test-tools ## compare every command group with the real servers, renew docs/compatibility.md; SEQUENCES=...
	@PYTHONPATH=tests $(BIN)/python -m conformance.report --sequences $(SEQUENCES) \
		--write docs/compatibility.md $(ARGS)

campaign: setup $(STAMPS)/test-tools ## long random comparison with the real servers, every cut of an AOF; EXAMPLES=... ARGS="-k zsets"
	@GOSSAMER_EXAMPLES=$(EXAMPLES) $(BIN)/python -m pytest -q -s tests/conformance \
		tests/persistence/test_aof_damage.py $(ARGS)

crash: setup $(STAMPS)/test-tools ## load what a loss of power can leave, fail every file operation; STATES=... ARGS="--seed 1"
	@PYTHONHASHSEED=0 PYTHONPATH=tests $(BIN)/python -m support.crash_campaign --states $(STATES) $(ARGS)

replication: setup $(STAMPS)/test-tools ## simulate replication while things go wrong, convict broken variants; SEEDS=... ARGS="--seed 17"
	@PYTHONHASHSEED=0 PYTHONPATH=src:tests $(BIN)/python -m support.replication_campaign --seeds $(SEEDS) $(ARGS)

sentinels: setup $(STAMPS)/test-tools ## simulate Sentinels while things go wrong, convict broken ones; SEEDS=... ARGS="--seed 17"
	@PYTHONPATH=tests $(BIN)/python -m support.sentinel_campaign --seeds $(SEEDS) $(ARGS)

kill: setup $(STAMPS)/test-tools ## kill -9 a server under load, look for acknowledged writes; CYCLES=... ARGS="--seed 1"
	@PYTHONPATH=tests $(BIN)/python -m support.kill_cycles --cycles $(CYCLES) $(ARGS)

chaos: setup $(STAMPS)/test-tools ## trees of Gossamer, Redis and Valkey under load, cuts and kills; RUNS=... SECONDS=... PARALLEL=... ARGS="--seed 1"
	@PYTHONPATH=tests $(BIN)/python -m support.chaos --runs $(or $(RUNS),100) --seconds $(SECONDS) --parallel $(PARALLEL) $(ARGS)

failovers: setup $(STAMPS)/test-tools ## time failovers of our Sentinels and of redis-sentinel side by side; RUNS=... ARGS="--server valkey-server"
	@PYTHONPATH=tests $(BIN)/python -m support.failover_times --runs $(or $(RUNS),20) $(ARGS)

bench: setup $(STAMPS)/test-tools ## compare speed and memory with redis-server; ARGS="--quick" for a first look
	@PYTHONPATH=tests $(BIN)/python -m bench $(ARGS)

clean: ## remove what was built; .venv and data stay
	rm -rf build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis src/*.egg-info
	rm -f $(STAMPS)/installed
	find src tests tools -name __pycache__ -type d -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)
