# What a contributor or an operator starts. A bare machine needs python3 (3.11 or newer); the rest is installed here.

BIN := .venv/bin
READY := .venv/.ready
NODE_READY := tests/clients/node_modules/.ready

# `make test WORKERS=0` runs everything in one process, for a debugger.
WORKERS ?= 2

# Minutes of test time that each suite may take, summed over the workers; then the limit of the whole run.
BUDGETS := unit=1 properties=2 contract=5 features=6 engine=12 integration=5 e2e=7 simulation=4 clients=4 oauth=3 people=2 audit=3 \
	views=3
RUN_SECONDS := 1620

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo serve check test soak bench system lock bundle

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(READY) ## a whole campaign in virtual time, against a sandbox mail server
	$(BIN)/postrider demo

serve: $(READY) ## the server and the engine, on loopback
	$(BIN)/postrider serve

check: $(READY) ## style, types, layers, files and everything generated; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.check_files
	$(BIN)/python -m scripts.check_manifests
	$(BIN)/python -m scripts.check_migrations
	$(BIN)/python -m scripts.check_threats
	$(BIN)/python -m scripts.snapshots --check
	$(BIN)/python -m scripts.operations_reference --check

test: system $(READY) $(NODE_READY) ## every suite, on SQLite, PostgreSQL and a real mail server
	scripts/with_postgres.sh $(BIN)/python -m pytest tests -n $(WORKERS) --dist loadfile \
		-p scripts.suite_budgets $(BUDGETS:%=--suite-budget=%) --session-timeout=$(RUN_SECONDS)

soak: system $(READY) $(NODE_READY) ## the long tests that `make test` leaves out
	scripts/with_postgres.sh $(BIN)/python -m pytest tests -m soak --timeout=7200

bench: system $(READY) ## the benchmarks, each beside the figure that it is compared with
	scripts/with_postgres.sh --durable $(BIN)/python -m benchmarks

system: ## what the tests need of the system (Debian and root: installs it; else: names what is missing)
	scripts/system.sh

LOCK := PATH="$(CURDIR)/$(BIN):$$PATH" uv pip compile --quiet --python-version 3.11 --universal --generate-hashes \
	--no-emit-index-url --no-header

lock: ## requirements.lock anew from pyproject.toml, and the image's locks from it; needs uv, on the path or in .venv
	$(LOCK) pyproject.toml --extra dev -o requirements.lock
	$(LOCK) pyproject.toml --no-annotate -c requirements.lock -o deploy/runtime.lock
	echo setuptools | $(LOCK) - --no-annotate -c requirements.lock -o deploy/build.lock

bundle: $(READY) ## dist/postrider-….mcpb, which desktop clients install with a double click
	$(BIN)/python -m scripts.bundle

$(READY): requirements.lock pyproject.toml scripts/venv.sh
	scripts/venv.sh

$(NODE_READY): tests/clients/package-lock.json tests/clients/package.json scripts/node.sh
	scripts/node.sh
