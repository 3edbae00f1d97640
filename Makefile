# Everything a person needs to type. `make` alone prints this list.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.c360-setup
LANES_WITH_JVM := e2e spark kafka
LANES_WITHOUT := unit contracts segments dbt models collector dags pulls sync
HELP := sync pulls dags collector models contracts
LANES := $(LANES_WITH_JVM) $(LANES_WITHOUT)
REPORTS := .c360-test/lanes
PORT ?=
TIER ?=
SEED ?=
HOUSEHOLDS ?=
PART ?=
SIZE ?=
EVENTS ?=

.PHONY: help
help: ## print this list
	@grep -hE '^[a-z][a-z0-9-]*:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

## ---- set-up --------------------------------------------------------------------------------------------------------

.PHONY: setup java browser
setup: java $(STAMP) ## .venv/ with the c360 command, hash-locked; fast the second time

# Java 17 or 21: Spark's launcher accepts no other. As root on Debian or Ubuntu it is installed here.
java:
	@major() { "$${JAVA_HOME:+$$JAVA_HOME/bin/}java" -version 2>&1 | sed -nE 's/.* version "(1\.)?([0-9]+).*/\2/p' | head -1 || true; }; \
	case "$$(major)" in 17|21) exit 0 ;; esac; \
	if [ "$$(id -u)" = 0 ] && [ -z "$${JAVA_HOME:-}" ] && command -v apt-get >/dev/null; then \
	  echo "installing Java: apt-get install -y openjdk-17-jre-headless"; \
	  { apt-get install -y -qq openjdk-17-jre-headless || { apt-get update -qq && apt-get install -y -qq openjdk-17-jre-headless; }; } >/dev/null; \
	  case "$$(major)" in 17|21) exit 0 ;; esac; \
	fi; \
	echo "Java 17 or 21 is needed, found '$$(major)'; Debian or Ubuntu: sudo apt-get install -y openjdk-17-jre-headless; macOS: brew install openjdk@17 and set JAVA_HOME" >&2; exit 1

# Chromium or Chrome, for the lane `collector` alone. As root on Debian it is installed here.
browser:
	@found() { for name in chromium chromium-browser google-chrome google-chrome-stable "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"; do \
	  command -v "$$name" >/dev/null && return; done; }; \
	if found; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing a browser for the tests: apt-get install -y chromium"; \
	  install() { apt-get install -y -qq chromium; }; \
	  { install || { apt-get update -qq && install; } || true; } >/dev/null; \
	  if found; then exit 0; fi; \
	fi; \
	echo "Chromium or Chrome is needed to test c360.js, found none; Debian: sudo apt-get install -y chromium; macOS: brew install --cask google-chrome" >&2; exit 1

$(STAMP): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 is needed; Debian 12: apt-get install -y python3.11-venv; macOS: brew install python@3.11; or: make setup PYTHON=/path/to/python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { \
	  echo "python3.11 has no venv; Debian or Ubuntu: apt-get install -y python3.11-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --require-hashes --compile-bytecode -r requirements/dev.txt
	$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

## ---- the product ---------------------------------------------------------------------------------------------------

.PHONY: run airflow
# Exit code 4 (done, some input refused) has its say in the last line; it is no failure of make.
run: setup ## the whole pipeline on the embedded defaults; HOUSEHOLDS=60 for a small sample
	@$(BIN)/c360 run $(if $(HOUSEHOLDS),--households $(HOUSEHOLDS)) || { code=$$?; [ $$code -eq 4 ] || exit $$code; }

airflow: setup ## Airflow with the c360 DAGs on loopback; PORT=8081 for another port
	@exec $(BIN)/c360 airflow $(if $(PORT),--port $(PORT))

.PHONY: docs
docs: setup ## the dbt docs (models, lineage, who reads what) as one page, docs-site/index.html
	@$(BIN)/c360 warehouse docs --to docs-site

## ---- tests ---------------------------------------------------------------------------------------------------------

.PHONY: test queue-with-jvm queue-without $(addprefix test-,$(LANES))
# Two queues beside each other: a lane keeps little more than one core busy, and two JVMs at once would starve each other.
# Whoever is done helps the other from the end of its list; a lane is its who writes the file `taken` first.
test: setup browser ## all lanes in two queues, with their times; make test-unit, … for one
	@mkdir -p $(REPORTS) && rm -f $(REPORTS)/*
	@$(MAKE) -j2 queue-with-jvm queue-without; cat $(REPORTS)/*.times; ! grep -h FAILED $(REPORTS)/*.times >/dev/null

define queue
	@for lane in $(2); do \
	  (set -o noclobber; : >$(REPORTS)/$$lane.taken) 2>/dev/null || continue; \
	  started=$$SECONDS; \
	  $(MAKE) test-$$lane >$(REPORTS)/$$lane.log 2>&1 && state=ok || state=FAILED; \
	  echo "── $$lane"; cat $(REPORTS)/$$lane.log; \
	  printf '%-10s %5d s  %s\n' $$lane $$((SECONDS - started)) $$state >>$(REPORTS)/$(1).times; \
	done
endef
queue-with-jvm: ; $(call queue,with-jvm,$(LANES_WITH_JVM) $(HELP))
queue-without: ; $(call queue,without,$(LANES_WITHOUT))

define lane
test-$(1): setup ## only the lane $(1)
	@$(BIN)/python -m pytest -q tests/$(1)
endef
$(foreach name,$(LANES),$(eval $(call lane,$(name))))
test-collector: browser

.PHONY: histories
histories: setup ## five fixed histories of a shop: the warehouse built in part, whole, and by Spark
	@$(BIN)/python -m pytest -q tests/histories

.PHONY: chaos
chaos: setup ## kill everything while events come in, then count them: tier A (20 min); TIER=B by hand (90 min); SEED=1
	@PYTHONPATH=tests $(BIN)/python -m chaos --tier $(or $(TIER),A) $(if $(SEED),--seed $(SEED))

## ---- lint ----------------------------------------------------------------------------------------------------------

.PHONY: lint lint-python lint-types lint-imports lint-sql lint-segments lint-contracts lint-docs lint-sizes format
lint: setup lint-python lint-types lint-imports lint-sql lint-segments lint-contracts lint-docs lint-sizes ## every check that runs no pipeline

lint-python: ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

lint-types: ## mypy, strict
	@$(BIN)/mypy jobs expectations models dags

lint-imports: ## who may import whom
	@$(BIN)/lint-imports

lint-sql: ## sqlfluff over the dbt project
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project

lint-segments: ## definitions are right; models and schemas made of them equal them
	@$(BIN)/c360 segments check
	@$(BIN)/c360 segments schema
	@$(BIN)/c360 segments compile --check

lint-contracts: ## no breaking change of a contract without a raised version
	@$(BIN)/c360 contracts check

lint-docs: ## docs/data.md equals the contracts
	@$(BIN)/c360 lake document --check

lint-sizes: ## functions and files stay small
	@$(BIN)/python -m pytest -q tests/unit/test_house.py

format: ## ruff: format and fix what can be fixed
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

## ---- benchmarks ----------------------------------------------------------------------------------------------------

.PHONY: bench-collector bench-ingest bench-identity bench-warehouse bench-segments
bench-collector: setup ## events per second that the collector acknowledges, beside a server that does nothing
	@$(BIN)/python benchmarks/collector.py

bench-ingest: setup ## the ingest stream beside a DuckDB + delta-rs loop, its growth and its latency; PART=throughput for one
	@$(BIN)/python benchmarks/ingest.py $(PART)

bench-warehouse: setup ## a whole build of the warehouse beside an incremental one; PART=incremental SIZE=10000000
	@$(BIN)/python benchmarks/warehouse.py $(PART) $(if $(SIZE),--size $(SIZE))

bench-segments: setup ## PART=build: the shipped segments as dbt models; stream, kills, scale: how soon the evaluator tells, crashes, its cost by profiles
	@$(BIN)/python benchmarks/segments.py $(PART)

bench-identity: setup ## components beside scipy, planted attacks, undone merges; PART=sample, PART=records FILES=folder
	@PYTHONPATH=tests:tests/dbt $(BIN)/python benchmarks/identity.py $(PART) $(if $(EVENTS),--events $(EVENTS)) $(if $(FILES),--files $(FILES))

.PHONY: drill-rotation drill-vacuum drill-publish
drill-rotation: setup ## change the token key between two deliveries of 100,000 people, then attack the tokens
	@$(BIN)/python benchmarks/rotation.py

drill-vacuum: setup ## 100 vacuums against 10,000 appends
	@$(BIN)/python benchmarks/vacuum_race.py

drill-publish: setup ## 300 publishes and 50 kills of the publisher under four readers; SEED=1
	@PYTHONPATH=tests $(BIN)/python -m publishdrill $(if $(SEED),--seed $(SEED))

## ---- housekeeping --------------------------------------------------------------------------------------------------

COMPILE = $(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --generate-hashes --python-version 3.11

.PHONY: lock clean reset
lock: setup ## compile requirements/*.in into hash-locked *.txt
	@$(COMPILE) requirements/bootstrap.in -o requirements/bootstrap.txt
	@$(COMPILE) requirements/runtime.in -o requirements/runtime.txt
	@$(COMPILE) requirements/dev.in -o requirements/dev.txt

clean: ## remove caches and what tests leave behind; the data stays
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .c360-test spark-warehouse metastore_db derby.log
	@find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

reset: ## remove C360_HOME: data, keys, warehouse, models, Airflow's state
	@home="$${C360_HOME:-.c360}"; \
	case "$$(realpath -m "$$home")" in "$$HOME"|/|"$$PWD") echo "refused: C360_HOME is $$home" >&2; exit 1 ;; esac; \
	rm -rf "$$home"; echo "$$home removed"
