# Everything a person needs; `make` alone prints this list.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
EXTRAS ?= dev
STAMP := $(VENV)/.installed-$(EXTRAS)
BEGUN := $(shell date +%s)
LINTED := shared services migrations tests

.PHONY: help setup demo run test lint bench migrate train-detector train-encoder lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv (once; again when requirements.lock changes)

$(STAMP): pyproject.toml requirements.lock
	@test -x $(PY) || python3 -m venv $(VENV)
	@test -x $(UV) || $(VENV)/bin/pip install --quiet --disable-pip-version-check uv
	@echo "installing the '$(EXTRAS)' extra (torch is the large part)"
	@$(UV) pip install --quiet --python $(PY) --constraint requirements.lock --editable '.[$(EXTRAS)]'
	@touch $@

demo: setup ## the main job on a comic: COMIC=path, else one it makes
	@$(PY) -m services.demo $(if $(COMIC),"$(COMIC)") --begun $(BEGUN)

run: setup ## start everything on this machine; Ctrl-C stops it (same as `comics up`)
	@exec $(VENV)/bin/comics up

test: setup ## all tests, on a real PostgreSQL and Redis
	@$(PY) -m pytest -q $(ARGS)

lint: setup ## ruff, mypy --strict, import contracts, alembic check, hadolint, compose
	@$(VENV)/bin/ruff check $(LINTED)
	@$(VENV)/bin/ruff format --check $(LINTED)
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PY) -m tests.equipment.with_servers $(VENV)/bin/alembic check
	@$(VENV)/bin/hadolint Dockerfile
	@$(PY) -m tests.equipment.compose_check

bench: setup ## benchmarks, one line each: `bench <name> <value> <unit>`; ONLY=<area>
	@$(PY) -m tests.bench $(ONLY)

migrate: setup ## bring the database of DATABASE_URL to the newest revision
	@$(VENV)/bin/comics migrate

train-detector: setup ## train the shipped detector anew on pages it makes itself; resumes when interrupted
	@OMP_NUM_THREADS=1 $(PY) -m services.training.detector_training --out services/detection/weights --steps 1900

train-encoder: setup ## train the shipped starter encoder anew, likewise
	@$(PY) -m services.training.starter_training --out services/search/weights

lock: setup ## resolve requirements.lock anew from pyproject.toml
	@$(UV) pip compile --quiet --python $(PY) --extra dev --no-header --no-emit-index-url --no-annotate pyproject.toml -o requirements.lock

clean: ## remove everything that was made here, .venv too
	rm -rf $(VENV) build out .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
