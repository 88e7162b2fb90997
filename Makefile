# Everything runs from .venv; every target that needs it makes it first. Nothing is needed but python3 and pip.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(VENV)/.packages
STAMP := $(VENV)/.up-to-date
OUT ?= demo-out
DOOR ?= all
CONFIG ?=
BENCH ?=
export PYTHONDONTWRITEBYTECODE :=

.DEFAULT_GOAL := help
.PHONY: help install setup demo serve test test-without-kernels check bench bench-dtmf bench-cde format packages bench-packages

help:  ## Show this list
	@echo "make demo     real calls through the service: a card keyed by each door, an agent who hears none of it"
	@echo "make test     all tests"
	@echo "make serve    run the service on loopback with the embedded test gateway (CONFIG=file.toml for your own)"
	@echo "make check    style, types, import contracts, configuration, flows"
	@echo "make bench    the measured claims, with the peers', into bench/results"
	@echo "make bench-dtmf   only those about keys (about 20 minutes); BENCH=--quick for a smoke run"
	@echo "make bench-cde    only those about cards and payments: tokenising, crashes (about 7 minutes)"
	@echo "make setup    make .venv (every other target does it when needed)"

setup: $(STAMP)  ## Make .venv and warm the kernel cache; does nothing when up to date

install: $(PACKAGES)  ## Make .venv; the kernels are compiled by setup

$(PACKAGES): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "[setup 1/3] making $(VENV) with $$($(PYTHON) -V)"
	@$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m pip install --quiet --user virtualenv && $(PYTHON) -m virtualenv --quiet $(VENV); } || \
	  { echo "No virtual environment can be made. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "[setup 2/3] installing the service, the demo's and the tests' packages (about 350 MB, one or two minutes)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[demo,hsm,test]'
	@touch $(PACKAGES)

# Two targets of one run may want the kernels: the second waits for the first.
$(STAMP): $(PACKAGES)
	@flock $(VENV) sh -ec '\
	  if [ $(STAMP) -nt $(PACKAGES) ]; then exit 0; fi; \
	  echo "[setup 3/3] compiling the media kernels, once (three to five minutes)"; \
	  $(BIN)/python -m dtmf_shield.service.warm_cache; \
	  touch $(STAMP); \
	  echo "[setup] done"'

demo: setup  ## Real calls, live progress, evidence in OUT (default demo-out); DOOR=inband|rfc4733|info|all
	@$(BIN)/dtmf-shield demo --door $(DOOR) --out $(OUT)

serve: setup  ## Run the service
	@$(BIN)/dtmf-shield serve $(if $(CONFIG),--config $(CONFIG))

packages:
	@sh tests/packages.sh

TEST := $(BIN)/python -m pytest
NO_KERNELS := $(addprefix tests/unit/,account_data api audit base call flow model signalling sip store) tests/spec

test: packages  ## All tests: what computes and what only waits on two cores at once, then calls that time what they do, one by one
	@$(MAKE) --no-print-directory -j 2 setup test-without-kernels
	@$(TEST) -n 2 --dist loadfile tests/leak tests/bench tests/unit tests/test_tidy.py $(addprefix --ignore=,$(NO_KERNELS))
	@$(TEST) -n 2 --dist loadfile -m untimed tests/interop
	@$(TEST) -m "not untimed" tests/interop
	@$(TEST) -n 2 --dist loadgroup -m "not interop" tests/web
	@$(TEST) -m interop tests/web

# Nice: the kernels, which everything waits for, come first; these take what is left of the two cores.
test-without-kernels: install
	@nice -n 5 $(TEST) -n 2 --dist loadfile $(NO_KERNELS)

check: install  ## Style, types, import contracts, shipped configuration and flows
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/dtmf-shield check

format: setup
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: setup bench-packages  ## The measured claims
	@$(BIN)/python -m bench $(BENCH)

bench-dtmf: setup bench-packages  ## The measured claims about keys
	@$(BIN)/python -m bench --dtmf $(BENCH)

bench-cde: setup  ## The measured claims about cards and payments
	@$(BIN)/python -m bench --cde $(BENCH)

bench-packages:
	@sh tests/packages.sh bench
