# Every target makes what it needs on first use and is quick when that is up to date. `make` lists them.

# The distribution's own Python, where there is one: it is built to be fast, and one that was built by hand with the
# default options is slower in every line.
PYTHON ?= $(firstword $(wildcard /usr/bin/python3.11) $(shell command -v python3.11 || command -v python3))
BIN := .venv/bin
# The iOS SDK is built and tested where there is a Swift toolchain; where there is none, the targets say so.
SWIFT := $(shell command -v swift)
SWIFT_FLAGS := -Xswiftc -warnings-as-errors
SWIFT_BUILD := build/swift
SWIFT_SOURCES := Package.swift swift examples/ios_shop
ENVIRONMENT := $(PYTHON) tools/environment.py
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-header

# The targets share two environments and one build directory: order is part of their meaning.
.NOTPARALLEL:
.DEFAULT_GOAL := help
.PHONY: help setup setup-mitmproxy setup-programs demo run test test-python test-swift lint bench bench-swift docs-swift bench-gate soak drill docs mutate format lock clean

help:  ## list the targets
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 24

setup:  ## make or refresh .venv
	@[ -x $(BIN)/python ] || sh tools/programs.sh $(PYTHON) venv
	@$(ENVIRONMENT) .venv requirements/dev.txt --editable

setup-mitmproxy: setup
	@$(ENVIRONMENT) .venv-mitmproxy requirements/mitmproxy.txt

setup-programs:
	@sh tools/programs.sh $(PYTHON) git initdb nginx redis-server redis-sentinel caddy haproxy softhsm2-util faketime curl openssl systemd-analyze

demo: setup setup-mitmproxy  ## the rogue client takes everything; then with Bonafide, nothing. ARGS=--behind-nginx
	@case "$(ARGS)" in *nginx*) sh tools/programs.sh $(PYTHON) nginx ;; esac
	@$(BIN)/python examples/django_api/demo.py $(ARGS)

run: setup  ## leave the demo's API and console running for a look round
	@$(BIN)/python examples/django_api/run.py

test: test-swift test-python  ## all tests, on all cores

test-python: setup-programs setup setup-mitmproxy
	@$(BIN)/python -m pytest --numprocesses auto --quiet

test-swift: setup setup-mitmproxy  ## the iOS SDK: build, tests, and what its core leans on
ifeq ($(SWIFT),)
	@echo "No Swift toolchain here: the iOS SDK was neither built nor tested."
else
	@sh tools/programs.sh $(PYTHON) pkg-config libcrypto readelf
	@$(SWIFT) build --quiet --scratch-path $(SWIFT_BUILD) --build-tests $(SWIFT_FLAGS)
	@$(SWIFT) test --quiet --scratch-path $(SWIFT_BUILD) --skip-build $(SWIFT_FLAGS)
	@$(BIN)/python tools/swift_core.py $(SWIFT_BUILD)/debug
	@$(MAKE) --no-print-directory docs-swift
endif

lint: setup  ## style, types, layers and the rules of the house
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python tools/swift_core.py
	@$(if $(SWIFT),$(SWIFT) format lint --strict --recursive $(SWIFT_SOURCES),echo "No Swift toolchain here: Swift sources were not linted.")
	@$(BIN)/python -m pytest --quiet tests/house

bench: setup  ## what a request costs, against fixed yardsticks
	@$(BIN)/python -m bench

bench-swift:  ## what a proof costs the app, against the raw signature
	@$(if $(SWIFT),$(SWIFT) run --quiet --scratch-path $(SWIFT_BUILD) --configuration release bench,echo "No Swift toolchain here.")

bench-gate: setup setup-programs  ## what a gate costs behind Nginx, beside what others cost
	@$(BIN)/python -m bench.gate $(ARGS)

soak: setup setup-programs  ## a million requests through Nginx, one in a hundred an attack
	@$(BIN)/python -m soak $(ARGS)

drill: setup setup-programs  ## real processes fail on purpose; each drill shows what held
	@$(BIN)/python -m drill $(ARGS)

docs: setup  ## write the generated reference pages; fails where they were out of date
	@$(BIN)/python tools/reference.py; status=$$?; $(BIN)/python -m tools.reference_django && exit $$status

# docc is given the graph of the facade alone, which re-exports the core: of two graphs it would take either at random.
docs-swift:  ## the SDK's pages, every link in them resolved
ifeq ($(SWIFT),)
	@echo "No Swift toolchain here: the SDK's pages were not built."
else
	@$(SWIFT) build --quiet --scratch-path $(SWIFT_BUILD)-docs --target Bonafide -Xswiftc -emit-symbol-graph \
		-Xswiftc -emit-symbol-graph-dir -Xswiftc $(SWIFT_BUILD)-docs/graphs
	@mkdir -p $(SWIFT_BUILD)-docs/graph && cp $(SWIFT_BUILD)-docs/graphs/Bonafide.symbols.json $(SWIFT_BUILD)-docs/graph/
	@docc convert swift/Sources/Bonafide/Bonafide.docc --additional-symbol-graph-dir $(SWIFT_BUILD)-docs/graph \
		--fallback-display-name Bonafide --fallback-bundle-identifier bonafide \
		--output-path $(SWIFT_BUILD)-docs/Bonafide.doccarchive --warnings-as-errors
endif

mutate: setup setup-mitmproxy  ## remove each `raise` in turn: a test must turn red
	@$(BIN)/python tools/remove_raises.py

format: setup  ## let ruff format and mend what it safely can
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format
	@$(if $(SWIFT),$(SWIFT) format --in-place --recursive $(SWIFT_SOURCES))

lock: setup  ## resolve the newest versions and lock them with hashes
	@$(COMPILE) --upgrade pyproject.toml --all-extras --group dev --output-file requirements/dev.txt
	@$(COMPILE) --upgrade --group mitmproxy --output-file requirements/mitmproxy.txt

clean:  ## remove what was made, environments included
	@rm -rf .venv .venv-mitmproxy build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
