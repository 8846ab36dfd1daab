# Two commands to know: `make demo` and `make test`. Both install what is missing first.

.DEFAULT_GOAL := help
.PHONY: help dev demo check style types imports locks emulators test test-full test-live fuzz soak bench lock clean

BIN := .venv/bin
# One more than two cores: tests of whole processes mostly wait.
TEST_PROCESSES ?= 3

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dev:  ## install what is missing (PostgreSQL, PostGIS, …) and prepare .venv
	@scripts/bootstrap

demo: dev  ## six real files that change, and the tables that follow them; ONCE=1: one round; CLOUD=1: cloud drives
	@$(BIN)/python scripts/demo.py $(if $(filter-out 0,$(ONCE)),--once) $(if $(filter-out 0,$(CLOUD)),--cloud)

check: style types imports locks  ## style, types, imports, lock files

style: dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: dev
	$(BIN)/mypy

imports: dev
	$(BIN)/lint-imports

locks: dev
	scripts/lock --check

emulators: dev  ## install the local object stores that the tests ask
	@scripts/bootstrap emulators

test: emulators  ## the test suite; ARGS=… goes to pytest
	$(BIN)/pytest -m "not full and not live" -n $(TEST_PROCESSES) $(ARGS)

test-full: emulators  ## the test suite with what takes long
	SYNCTABLES_HYPOTHESIS_PROFILE=full $(BIN)/pytest -m "not live" -n $(TEST_PROCESSES) $(ARGS)

test-live: dev  ## the tests of cloud services at the services themselves; skipped without credentials
	$(BIN)/pytest -m live $(ARGS)

fuzz: dev  ## mutated files through the sandbox: SEED=1 COUNT=10000 LANES=2; CASE=… one of them again
	@nice $(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED)) $(if $(COUNT),--count $(COUNT)) \
		$(if $(LANES),--lanes $(LANES)) $(if $(CASE),--case $(CASE))

soak: dev  ## hundreds of syncs, changing files, random faults, three workers: MINUTES=15 SYNCS=300 SEED=…
	@$(BIN)/python scripts/soak.py $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SYNCS),--syncs $(SYNCS)) \
		$(if $(SEED),--seed $(SEED))

bench:  ## side by side with others: ROWS=2000000 RUNS=5 ONLY=csv,refresh,…; an hour or two at full size
	@scripts/bootstrap bench
	@$(BIN)/python benchmarks/comparison $(if $(ROWS),--rows $(ROWS)) $(if $(RUNS),--runs $(RUNS)) \
		$(if $(ONLY),--only $(ONLY)) $(ARGS)

lock: dev  ## write the lock files again; UPGRADE=1: with the newest versions
	scripts/lock $(if $(filter-out 0,$(UPGRADE)),--upgrade)

clean:  ## remove everything that was built or cached here
	rm -rf .venv .venv-bench .venv-emulators node_modules tests/emulators/node_modules dist build src/synctables/web/static .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	find src tests scripts benchmarks -name __pycache__ -type d -exec rm -rf {} +
