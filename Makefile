# The verbs of this project. Needed: python3 >= 3.11 with venv, make, a C compiler. Nothing else.
#
# The environment is .venv, built from the hashed lock. Two stamps inside it say what it was built from: a new lock
# rebuilds it from nothing (an upgrade in place would keep what the lock dropped), a new pyproject.toml only
# installs the project again.

PYTHON ?= python3
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
# What is type-checked; bench, once it holds any code.
CODE := src tests tools $(if $(wildcard bench/*.py),bench)
TRIAL := .trial
TRIAL_PORT ?= 2525

.DEFAULT_GOAL := help
.PHONY: help env run test fuzz check format bench lock docs clean
.PHONY: check-format check-lint check-types check-imports check-text
# A recipe that fails must not leave a target that looks done.
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

env: $(VENV)/installed ## the environment in .venv, built when missing or stale

$(VENV)/locked: requirements-dev.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  found=$$($(PYTHON) --version 2>&1) || found='not there'; \
	  echo "make: Paperpath needs Python 3.11 or later, and '$(PYTHON)' is $$found." \
	    "Name another one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "make: '$(PYTHON)' has no venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

# The build backend is in the lock, so this step fetches nothing.
$(VENV)/installed: $(VENV)/locked pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

run: env ## a mail server to try, in the foreground, with its state in .trial
	@test -f $(TRIAL)/paperpath.toml || { told=$$($(BIN)/paperpath init $(TRIAL) --hostname mx.trial.test \
	  --account you@trial.test --listen smtp=127.0.0.1:$(TRIAL_PORT)) && echo "$$told" | sed '/^$$/,$$d'; }
	@echo
	@echo 'Paperpath listens on 127.0.0.1:$(TRIAL_PORT). In another terminal, send the first message:'
	@echo '    $(BIN)/paperpath send --config $(TRIAL)/paperpath.toml --to you@trial.test'
	@echo 'and find it in'
	@echo '    $(TRIAL)/state/mail/trial.test/you/Maildir/new'
	@echo 'Stop the server with Control-C; "rm -r $(TRIAL)" forgets it.'
	@echo
	@exec $(BIN)/paperpath serve --config $(TRIAL)/paperpath.toml

test: env ## every test (ARGS="-k queue" narrows it); the skipped ones are listed at the end
	$(BIN)/python -m pytest -n auto --dist loadgroup -rs $(ARGS)

fuzz: env .fuzz/lib ## coverage-guided fuzzing of a machine: ARGS="smtp -max_total_time=600" (tests/fuzz/targets.py)
	PYTHONPATH=.fuzz/lib:. $(BIN)/python -m tests.fuzz.run $(ARGS)

.fuzz/lib: tests/fuzz/requirements.lock
	rm -rf $@
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target $@ -r $<

# One target each, so that `make --keep-going check` shows everything at once.
check: check-format check-lint check-types check-imports check-text ## formatter, linter, types, imports, text
check-format: env
	@echo '== format';  $(BIN)/ruff format --check .
check-lint: env
	@echo '== lint';    $(BIN)/ruff check .
check-types: env
	@echo '== types';   $(BIN)/mypy --strict $(CODE)
check-imports: env
	@echo '== imports'; $(BIN)/python tools/check_imports.py
check-text: env
	@echo '== text';    $(BIN)/python tools/check_text.py

format: env ## rewrite the code in the one style, and mend what can be mended without thought
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: env ## the benchmarks, with the peers side by side (ARGS="..." goes to bench)
	$(BIN)/python -m bench $(ARGS)

docs: env ## the generated reference pages (ARGS=--check only compares)
	$(BIN)/python -m tools.docs $(ARGS)

# The only verb that fetches a tool of its own: uv resolves for every supported Python at once, which pip cannot.
# The headers and index addresses it would write are left out: a lock names packages and hashes, not places.
COMPILE = build/lock/bin/uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --upgrade \
  --no-header --no-emit-index-url --no-emit-find-links pyproject.toml
lock: ## choose the newest allowed versions and write both lock files
	$(PYTHON) -m venv --clear build/lock
	build/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --output-file requirements.lock
	$(COMPILE) --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean: ## remove the environment, the caches and everything built (.trial stays: it may hold mail)
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .coverage .coverage.* htmlcov
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
