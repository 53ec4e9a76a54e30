# Dwindle's short road. `make help` lists the targets; docs/hacking.md tells what is behind them.
#
# Options:  PYTHON=/path/to/python3.11   the interpreter that .venv is made with
#           JOBS=2                       compile jobs at a time (default: the number of cores)

PYTHON ?= python3
JOBS ?= $(shell nproc)
BIN := .venv/bin
FASHION := examples/fashion_mnist

export PYTHON
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
# Objects are shared by all clones on a machine: ccache sees paths relative to this one.
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1

# Folders are listed too, so that a file taken away counts as a change.
SOURCES := $(shell find core passes tools tests cmake python/bindings python/dwindle \
             -name __pycache__ -prune -o -name data -prune -o -print 2>/dev/null) \
           python/CMakeLists.txt CMakeLists.txt CMakePresets.json pyproject.toml README.md

.DEFAULT_GOAL := help
.PHONY: help setup setup-torch build test demo lint format train-demo clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile

setup: ## Install what is missing: Debian packages (as root), Python packages in .venv
	@scripts/setup.sh

setup-torch: ## setup, and PyTorch: to train the demo's model and for the tests that need it
	@scripts/setup.sh torch

build: setup ## Build the library, the C++ tests, the command and the Python module into .venv
	@$(MAKE) --silent --no-print-directory build/release/.installed

build/release/.installed: $(SOURCES)
	@scripts/build.sh
	@touch $@

test: build ## Run every test: C++, C++ under sanitizers, Python, ruff and mypy
	@$(BIN)/python scripts/run_tests.py

demo: build ## Optimize a real model; print size, accuracy and latency before and after
	@$(FASHION)/demo.sh

lint: setup ## Check formatting and types: clang-format (where installed), ruff, mypy
	@scripts/lint.sh

format: setup ## Format the C++ and Python sources in place
	@scripts/lint.sh --fix

train-demo: setup-torch ## Train the demo's model anew (needs dataset-fashion-mnist; about ten minutes)
	@$(BIN)/python $(FASHION)/train.py

clean: ## Remove everything built; .venv stays
	rm -rf build dist .mypy_cache .pytest_cache .ruff_cache
