# The main targets are `make demo` and `make test`. Each does its whole set-up and repeats only what changed.
.DEFAULT_GOAL := help
SHELL := /bin/bash

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# As later versions of pip do by themselves: flasgger comes as source, of which the pip of Python 3.11 warns at length.
export PIP_USE_PEP517 := 1
# Where it is set, each of the tests' two hundred processes compiles all modules anew.
unexport PYTHONDONTWRITEBYTECODE
MONITORING := prometheus prometheus-alertmanager prometheus-node-exporter
# Progress bars on a terminal, silence elsewhere.
QUIET := $(if $(MAKE_TERMOUT),,--quiet)

.PHONY: help demo monitor monitoring-programs serve sync test lint format bench bench-peers clean

help:
	@echo "make demo                      draw and index 1,500 pictures, serve them on http://127.0.0.1:8420 or the next free port"
	@echo "make monitor                   the same, monitored by Prometheus with its alerts"
	@echo "make serve CORPUS=~/Pictures   index and serve your own pictures, with the model clip-ViT-B-32 (or ML_API_MODEL)"
	@echo "  PORT=8420 METRICS_PORT=9464  ports of these three targets"
	@echo "make sync CORPUS=~/Pictures    index only"
	@echo "make test                      run all checks and tests"
	@echo "make bench | bench-peers       measure speed and scale (over half an hour, idle machine) | compare with michaelfeil/infinity"
	@echo "make lint | format | clean     run the checks without tests | format the code | remove everything that make created"

# --- running ---------------------------------------------------------------------------------------------------------

demo monitor serve: export ML_API_PORT := $(or $(PORT),$(ML_API_PORT))
demo monitor serve: export ML_API_METRICS_PORT := $(or $(METRICS_PORT),$(ML_API_METRICS_PORT))
demo monitor serve: export ML_API_REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null)

demo monitor: $(VENV)/.installed
	@exec $(BIN)/python -m demo $(if $(filter monitor,$@),--monitor)

monitor: monitoring-programs
# A failed installation is not an error here: what needs a missing program reports it.
monitoring-programs:
	-@scripts/system-packages $(MONITORING)

serve: $(VENV)/.installed
	@$(BIN)/python -m ml_api.settings
	@$(BIN)/python -m ml_api sync
	@exec $(BIN)/python -m ml_api serve

sync serve: export ML_API_CORPUS := $(or $(CORPUS),$(ML_API_CORPUS))
sync: $(VENV)/.installed
	@$(BIN)/python -m ml_api sync

# --- checking --------------------------------------------------------------------------------------------------------

test: lint $(VENV)/.milvus-server $(VENV)/.triton-server $(VENV)/.client-generator $(VENV)/.page-tools
	@scripts/system-packages chromium-headless-shell || echo "the tests of the page run in chromium, which takes them twice as long"
	@scripts/system-packages firefox-esr webkit2gtk-driver xvfb || echo "the page is not tested in Firefox and WebKit"
	@scripts/system-packages chromium nginx-light postgresql $(MONITORING)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

# What is imported there stands in the requirements of users; tests and benchmarks have more (tests/structure/test_requirements.py).
IMPORTING := ml_api demo grafana monitoring

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/deptry $(IMPORTING)

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

# --- measuring -------------------------------------------------------------------------------------------------------

BENCHMARKS := serving sync sync_memory bulk following search_scale vector_files overload hostile costly_images observability
PEERS := .cache/peers/infinity

bench: $(VENV)/.installed-bench $(VENV)/.milvus-server
	@for name in $(BENCHMARKS); do echo "== $$name"; $(BIN)/python -m benchmarks.$$name || exit; done
	@if $(BIN)/python -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then $(BIN)/python -m benchmarks.gpu; fi

bench-peers: $(VENV)/.installed-bench $(PEERS)/.installed
	$(BIN)/python -m benchmarks.peers

# --- setting up ------------------------------------------------------------------------------------------------------

$(VENV)/bin/python:
	@scripts/new-venv $(PYTHON) $(VENV)

$(VENV)/.installed: requirements.txt constraints.txt | $(VENV)/bin/python
	@echo "installing requirements, which takes some minutes (longer with the CUDA build of PyTorch)"
	$(BIN)/python -m pip install $(QUIET) -r requirements.txt -c constraints.txt
	@touch $@

# The tests' Milvus server: a wheel in a folder of its own, because its package must not be on the import path.
$(VENV)/.milvus-server: requirements-milvus-server.txt $(VENV)/.installed
	$(BIN)/python -m pip install $(QUIET) --no-deps --upgrade --target $(VENV)/milvus-server -r requirements-milvus-server.txt
	@touch $@

# The tests' Triton server: a wheel that runs with the system's Python only. Elsewhere its tests are skipped, with the reason.
$(VENV)/.triton-server: requirements-triton-server.txt scripts/triton-server $(VENV)/.installed
	@scripts/triton-server $(BIN)/python $(VENV)/triton-server

# The client generator of the tests, in a folder of its own: its requirements conflict with those of other packages.
$(VENV)/.client-generator: requirements-client-generator.txt $(VENV)/.installed
	$(BIN)/python -m pip install $(QUIET) --upgrade --target $(VENV)/client-generator -r $<
	@touch $@

# What checks the page's JavaScript: its compiler, which only reads types, and the rules of accessibility. npm comes from PyPI.
$(VENV)/.page-tools: tests/e2e/page/tools/package-lock.json $(VENV)/.installed-dev
	@mkdir -p $(VENV)/page-tools
	@cp tests/e2e/page/tools/package.json tests/e2e/page/tools/package-lock.json $(VENV)/page-tools
	@cd $(VENV)/page-tools && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt requirements-otel.txt requirements-postgresql.txt requirements-s3.txt requirements-triton.txt $(VENV)/.installed
	$(BIN)/python -m pip install $(QUIET) -r requirements-dev.txt -c constraints.txt
	@touch $@

$(VENV)/.installed-bench: requirements-bench.txt $(VENV)/.installed-dev
	$(BIN)/python -m pip install $(QUIET) -r requirements-bench.txt -c constraints.txt
	@touch $@

# The peer's pins are older, so it has an environment of its own. Without torchvision, whose build may not match torch's.
$(PEERS)/.installed: benchmarks/requirements-peers.txt
	@mkdir -p $(dir $(PEERS))
	@scripts/new-venv $(PYTHON) $(PEERS)
	$(PEERS)/bin/python -m pip install $(QUIET) -r $<
	$(PEERS)/bin/python -m pip uninstall $(QUIET) --yes torchvision
	@touch $@

clean:
	rm -rf $(VENV) data .mypy_cache .ruff_cache .pytest_cache .hypothesis .cache/benchmarks .cache/peers .cache/tests benchmarks/results
