# Everything a person needs; `make` alone prints this list.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PY := $(VENV)/bin/python
UV := $(VENV)/bin/uv
EXTRAS ?= dev
JOBS ?= 2
STAMP := $(VENV)/.installed-$(EXTRAS)
BEGUN := $(shell date +%s)
LINTED := shared services migrations tests
COMIC_SAMPLES ?= ../shared/comics
TRUTH := tests/truth
# The recipe of the shipped detector: made pages, and ten annotated ones that are never evaluated on.
RECIPE := --network services/detection/weights/config.json --pretrained imagenet --steps 3000 --steps-per-epoch 250 \
	--rate 1.2e-3 --frozen-blocks 5 --smallest 0.35 --largest 0.85 --made 0.78 \
	--coco $(TRUTH)/pepper-carrot-pages.json=$(COMIC_SAMPLES)/pepper-carrot-pages \
	--held-out $(TRUTH)/torinome-vertical.json=$(COMIC_SAMPLES)/torinome-vertical

.PHONY: help setup demo run test lint bench screenshots migrate train-detector train-encoder eval-training eval-detector train-memory lock clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

setup: $(STAMP) ## install everything into .venv (once; again when requirements.lock changes)

$(STAMP): pyproject.toml requirements.lock package-lock.json
	@test -x $(PY) || python3 -m venv $(VENV)
	@test -x $(UV) || $(VENV)/bin/pip install --quiet --disable-pip-version-check uv
	@echo "installing the '$(EXTRAS)' extra (torch is the large part)"
	@$(UV) pip install --quiet --python $(PY) --constraint requirements.lock --editable '.[$(EXTRAS)]'
	@test ! -x $(VENV)/bin/npm || PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $(VENV)/bin/npm ci --silent --no-audit --no-fund
	@touch $@

demo: setup ## the main job on a comic: COMIC=path, else one it makes
	@$(PY) -m services.demo $(if $(COMIC),"$(COMIC)") --begun $(BEGUN)

run: setup ## start everything on this machine; Ctrl-C stops it (same as `comics up`)
	@exec $(VENV)/bin/comics up

test: setup ## all tests, on a real PostgreSQL and Redis; JOBS=2 files at once
	@OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(PY) -m pytest -q -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

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

screenshots: setup ## pictures of every screen, light, dark and on a phone, into out/screenshots (needs Chromium)
	@$(PY) -m tests.screenshots

migrate: setup ## bring the database of DATABASE_URL to the newest revision
	@$(VENV)/bin/comics migrate

train-detector: setup ## train the shipped detector anew, on made pages and ten annotated ones; goes on where it was
	@OMP_NUM_THREADS=1 $(PY) -m services.training.detector --out services/detection/weights $(RECIPE) $(ARGS)

train-encoder: setup ## train the shipped starter encoder anew, likewise
	@$(PY) -m services.training.starter_training --out services/search/weights

eval-training: setup ## the four training options on made stories, three seeds each, beside chance (about 15 minutes)
	@OMP_NUM_THREADS=1 $(PY) -m services.training.options_table --out build/options-table.json

eval-detector: setup ## the detector on pages nobody trained on, failures drawn into out/detector-eval; ARGS="--help"
	@OMP_NUM_THREADS=$(or $(OMP_NUM_THREADS),2) $(PY) -m tests.bench.detector_eval $(ARGS)

train-memory: setup ## what training takes of a GPU's memory, computed without one
	@$(PY) -m services.training.memory

lock: setup ## resolve requirements.lock anew from pyproject.toml
	@$(UV) pip compile --quiet --python $(PY) --extra dev --no-header --no-emit-index-url --no-annotate pyproject.toml -o requirements.lock

clean: ## remove everything that was made here, .venv too
	rm -rf $(VENV) node_modules build out .mypy_cache .ruff_cache .pytest_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
