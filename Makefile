# Each target sets up what it needs, alone: .venv, the pinned packages, an LLVM that Dr.Jit can use.
# Repeating is quick and needs no network: stamps in .venv remember what is done.

# Paths stay relative: make cannot quote spaces in the checkout's own path.
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
# Python compiles what is imported, once; all 10,000 modules take a minute.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile -c constraints.txt
PINNED := pyproject.toml constraints.txt
WINGS := problems estimators optimizers

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL: # two pips in one .venv would break each other
.SUFFIXES:
.PHONY: help setup demo test check format lint types docs bench bench-cnn bench-radiosity chaos fuzz mutants clean links
SHELL := /bin/sh
# Where the environment forbids compiled modules, each of the processes of a test run would compile what it imports.
export PYTHONDONTWRITEBYTECODE :=

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1 - \2/p' Makefile

setup: $(STAMPS)/llvm ## make .venv, install the pinned packages, find or install an LLVM

demo: setup ## turn a mug until it matches a target image; pictures in out/mug
	$(BIN)/invopt run mug --out out/mug

test: setup ## run the tests, on all cores up to four
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal

check: format lint types test docs ## everything a change must pass

format: $(STAMPS)/dev ## formatting (ruff)
	$(BIN)/ruff format --check .

lint: $(STAMPS)/dev ## lint (ruff)
	$(BIN)/ruff check .

# The wheel is unpacked elsewhere: there, mypy finds it before the checkout.
types: $(STAMPS)/dev ## mypy --strict on all files of the checkout, and on those of the built wheel
	$(BIN)/python -m mypy -p invopt
	@root=$$PWD && tmp=$$(mktemp -d) && trap 'rm -rf "$$tmp"' EXIT && python=$$root/$(BIN)/python && { \
		"$$python" -m build --wheel --no-isolation --outdir "$$tmp" . >"$$tmp/log" 2>&1 || { cat "$$tmp/log"; exit 1; }; \
	} && "$$python" -m zipfile -e "$$tmp"/invopt-*.whl "$$tmp" && cd "$$tmp" && echo "mypy -p invopt, on the wheel" \
	&& "$$python" -m mypy --config-file "$$root/pyproject.toml" --cache-dir "$$root/.mypy_cache/wheel" -p invopt

docs: setup $(STAMPS)/docs ## build the documentation with its gallery, warnings being errors; in docs/_build
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html docs docs/_build
	@echo "open docs/_build/index.html"

bench: setup ## run the benchmarks
	$(BIN)/python -m pytest tests/benchmarks -s

bench-cnn: setup ## train networks through the renderer, for an hour or so
	$(BIN)/python -m pytest tests/benchmarks/test_cnn.py -s

bench-radiosity: setup ## neural radiosity: estimators at equal iterations, seconds per iteration, memory
	$(BIN)/python -m pytest tests/benchmarks/test_radiosity.py tests/benchmarks/test_radiosity_cost.py -s

chaos: setup ## kill runs, fill disks, break evaluations, and look what is lost; ten minutes
	$(BIN)/python tests/chaos/chaos.py

fuzz: setup ## 20,000 bad inputs: only documented outcomes, no hang, no abort
	$(BIN)/python tests/fuzz/fuzz.py

mutants: setup ## plant 40 faults in copies of the code: the tests must notice 38; a quarter of an hour
	$(BIN)/python tests/mutants.py

clean: ## remove everything made here, .venv included
	rm -rf $(VENV) build dist out docs/_build docs/gallery docs/api *.egg-info
	rm -rf .pytest_cache .hypothesis .mypy_cache .ruff_cache .benchmarks docs/sg_execution_times.rst
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Git keeps the links to the wings. Where links are not supported it writes text files, and no wing would be found.
links:
	@for wing in $(WINGS); do \
		[ "invopt/$$wing" -ef "$$wing" ] && continue; \
		echo "invopt/$$wing must be a symbolic link to ../$$wing, and is not in this checkout." >&2; \
		echo "In a git clone (on Windows, turn on Developer Mode first):" >&2; \
		echo "  git config core.symlinks true" >&2; \
		echo "  git checkout -- $(WINGS:%=invopt/%)" >&2; \
		echo "Elsewhere, as after unpacking a zip file:" >&2; \
		echo "  for wing in $(WINGS); do rm -rf invopt/\$$wing; ln -s ../\$$wing invopt/\$$wing; done" >&2; \
		exit 1; \
	done

# A sound .venv is kept, anything else is made anew by the newest suitable Python; PYTHON=... chooses one.
$(STAMPS)/venv: | links
	@if ! { $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))' && $(BIN)/python -m pip --version; } \
	>/dev/null 2>&1; then \
		for python in $(PYTHON) python3.13 python3.12 python3.11 python3; do \
			"$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 \
			&& found=$$python && break; \
		done; \
		if [ -z "$$found" ]; then \
			echo "No Python >= 3.11 with venv was found. On Debian or Ubuntu: apt install python3 python3-venv;" >&2; \
			echo "or name one: make PYTHON=/path/to/python3 ..." >&2; \
			exit 1; \
		fi; \
		echo "$$found -m venv $(VENV)" && "$$found" -m venv --clear $(VENV); \
	fi
	@mkdir -p $(STAMPS) && touch $@

# The build backend is installed first and used as it is: a build environment of pip's own would be fetched unpinned.
$(STAMPS)/test: $(STAMPS)/venv $(PINNED)
	@echo "installing the pinned packages into $(VENV): minutes the first time, with PyTorch being hundreds of megabytes"
	@rm -rf invopt.egg-info # of an older checkout: it would pass for what is installed
	$(PIP) hatchling
	$(PIP) --no-build-isolation -e ".[test]"
	@touch $@

$(STAMPS)/docs: $(STAMPS)/test $(PINNED)
	$(PIP) --no-build-isolation -e ".[test,docs]"
	@touch $@

$(STAMPS)/dev: $(STAMPS)/test $(PINNED)
	$(PIP) --no-build-isolation -e ".[test,dev]"
	@touch $@

$(STAMPS)/llvm: $(STAMPS)/test
	$(BIN)/invopt doctor --install
	@touch $@
