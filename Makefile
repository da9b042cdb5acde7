# Everything that people and CI run. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV := uv run --frozen --no-sync
PYTEST := $(UV) pytest
# Processes on loopback and control planes wait as much as they compute: one test file more at once than two cores.
# What would take their turns from them is in tests/wire/alone.
SIDE_BY_SIDE := --numprocesses=3 --dist=loadfile --no-loadscope-reorder --ignore=tests/wire/alone
# Programs whose lines are counted write which they ran when they end in order; tests/wire/conftest.py says which those are.
COVERAGE := $(CURDIR)/build/coverage/data
MEASURED := COVERAGE_FILE=$(COVERAGE) COVERAGE_PROCESS_START=$(CURDIR)/pyproject.toml
STEP := .ci/step
ROOMS := crds operator wrapper sidecar gate cli simulator lib/authn lib/bus lib/proxy lib/runtime

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

.PHONY: setup
setup: ## Install uv if it is missing, and the locked dependencies
	@command -v uv >/dev/null || python3 -m pip install --quiet uv==0.13.8
	@uv sync --frozen --quiet

.PHONY: prepare
prepare: setup ## Build or find what real clusters and a real engine need (minutes, the first time)
	@python3 cluster build
	@python3 examples/engine/prepare.py

.PHONY: generate
generate: setup ## Write CRDs, the chart's copies and the reference page from the models
	@$(UV) python -m agenttype_api.generate .

.PHONY: check
check: setup ## Lint, types, import contracts, dependencies, fresh generated files
	$(UV) ruff check .
	$(UV) ruff format --check --quiet .
	$(UV) mypy
	$(UV) lint-imports --no-cache
	@for room in $(ROOMS); do (cd $$room && $(UV) deptry --no-ansi src) || exit 1; done
	$(UV) python -m agenttype_api.generate --check .

.PHONY: unit contract wire integration e2e
unit: setup ## Pure modules, tables, properties
	$(PYTEST) tests/unit
contract: setup ## What one room writes another can read
	$(PYTEST) tests/contract
wire: setup ## Sidecar, gate and agents as processes on loopback
	failed=0; \
	$(PYTEST) $(SIDE_BY_SIDE) tests/wire || failed=1; \
	$(PYTEST) tests/wire/alone || failed=1; \
	exit $$failed
integration: prepare ## The operator on a real API server
	$(PYTEST) $(SIDE_BY_SIDE) tests/integration
e2e: prepare ## Real pods on a real node, with the real engine
	$(PYTEST) tests/e2e

.PHONY: test
test: export STEPS := $(CURDIR)/build/steps
test: setup ## Everything that CI runs
	@rm -rf $(STEPS) $(dir $(COVERAGE)); mkdir -p $(dir $(COVERAGE))
	@$(STEP) check $(MAKE) --no-print-directory check
	@$(STEP) prepare $(MAKE) --no-print-directory prepare
	@# What takes longest begins first; whatever fails, the rest runs too.
	failed=0; \
	$(MEASURED) $(STEP) "tests side by side" \
	  $(PYTEST) $(SIDE_BY_SIDE) tests/integration tests/wire tests/contract tests/unit || failed=1; \
	COVERAGE_FILE=$(COVERAGE) $(PYTEST) tests/wire/alone tests/e2e tests/coverage || failed=1; \
	exit $$failed

.PHONY: demo
demo: setup ## Two agents, two adapters, one engine, on a cluster of their own
	@$(UV) python -m examples.demo

.PHONY: cluster-up cluster-down
cluster-up: ## A real Kubernetes without Docker
	@python3 cluster up
cluster-down: ## End it and leave nothing behind
	@python3 cluster down

.PHONY: bench-sidecar
bench bench-sidecar: export STEPS := $(CURDIR)/build/bench-steps
bench-sidecar: setup ## The sidecar beside other proxies (5 minutes); QUICK=1 for a glance
	@mkdir -p $(dir $(STEPS)); rm -f $(STEPS)
	$(STEP) sidecar $(UV) python bench/sidecar.py $(if $(QUICK),--quick)
	@cat $(STEPS)

.PHONY: bench
bench: setup ## Figures, side by side in one run
	@mkdir -p $(dir $(STEPS)); rm -f $(STEPS)
	@for subject in wrapper proxy gate sidecar; do $(STEP) $$subject $(UV) python bench/$$subject.py || exit 1; done
	@cat $(STEPS)

.PHONY: fuzz
fuzz: setup ## Fuzz what reads foreign bytes for SECONDS (600), and keep what covers more
	nice -n 19 $(UV) python tests/fuzz $(or $(SECONDS),600) $(TARGETS)
