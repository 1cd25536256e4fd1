# Every command of the project, each in one place; tox.ini and .ci/run call these targets.
# Needs Python 3.11 or newer with venv, git and make. Another interpreter: make PYTHON=python3.12 ...
# BIN=<directory> uses the tools of an environment that is ready, and sets nothing up.

PYTHON ?= python3
VENV ?= .venv
ARGS ?=
ifdef BIN
  RUN_READY :=
  TEST_READY :=
  DEV_READY :=
else
  BIN := $(VENV)/bin
  RUN_READY := $(VENV)/.ready-run
  TEST_READY := $(VENV)/.ready-test
  DEV_READY := $(VENV)/.ready-dev
endif
PACKAGING := setup.cfg pyproject.toml
PIP_INSTALL := $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check
# Twisted finds its plugins through a cache beside them; written once now, not at every start.
PLUGIN_CACHE := -c 'from twisted.plugin import IPlugin, getPlugins; list(getPlugins(IPlugin))'

.DEFAULT_GOAL := help
.PHONY: help run test proof lint types check docs bench fuzz simulate faults kill power syscalls peers descriptors
.PHONY: signals clock soak clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):[^#]*## /  make \1\t/p' Makefile | expand -t 20

run: $(RUN_READY)  ## Start the server; flags go into ARGS, as in make run ARGS="--port 7000"
	@exec $(BIN)/scd $(ARGS)

test: $(TEST_READY)  ## Run all tests, or those named in ARGS; the last line is "N passed, N failed"
	@$(BIN)/python tests/run.py $(ARGS)

proof: $(TEST_READY)  ## Try every line of the monitoring guides on a server with users; part of test
	@$(BIN)/python tests/run.py tests.monitoring

lint: $(DEV_READY)  ## Look for mistakes and bad style
	@$(BIN)/python -m ruff check .

types: $(DEV_READY)  ## Check the types
	@$(BIN)/python -m mypy

check: lint types test  ## lint, types and test

docs: $(RUN_READY)  ## Write the generated documentation anew
	@$(BIN)/python -m superchat.tools.protocol_docs $(ARGS)

bench: $(TEST_READY)  ## Run the benchmarks, the long ones in their quick form
	$(BIN)/python -m benchmarks.codec
	$(BIN)/python -m benchmarks.storage --quick
	$(BIN)/python -m benchmarks.fanout --quick
	$(BIN)/python -m benchmarks.posts --quick
	$(BIN)/python -m benchmarks.storm --quick
	$(BIN)/python -m benchmarks.sessions --quick
	$(BIN)/python -m benchmarks.history --quick
	$(BIN)/python -m benchmarks.scrape --quick
	$(BIN)/python -m benchmarks.activity --quick
	$(BIN)/python -m benchmarks.retention --quick
	$(BIN)/python -m benchmarks.logins --quick

fuzz: $(TEST_READY)  ## Feed parsers and whole conversations with what nobody should send, from the kept corpus on
	@$(BIN)/python -m tests.fuzz $(ARGS)

simulate: $(TEST_READY)  ## Play 2,000 chats by seeds beside a simple model; --seed N plays one again
	@$(BIN)/python -m tests.model.simulate $(ARGS)

# What is promised when things break, each in its long form; --help in ARGS shows what can be chosen.

faults: kill power syscalls peers descriptors signals clock soak  ## All of the following, one after the other: hours

kill: $(TEST_READY)  ## Kill servers 1,000 times, and look for what was acknowledged
	@$(BIN)/python -m tests.faults.kill $(ARGS)

power: $(TEST_READY)  ## Cut the power of disks at thousands of moments, and look for what was acknowledged
	@$(BIN)/python -m tests.faults.power $(ARGS)

syscalls: $(TEST_READY)  ## Let every call to the file system fail once
	@$(BIN)/python -m tests.faults.syscalls --every $(ARGS)

peers: $(TEST_READY)  ## Let peers be slow, stuck and hostile, and see whether others notice
	@$(BIN)/python -m tests.faults.peers $(ARGS)

descriptors: $(TEST_READY)  ## Let the file descriptors run out, again and again
	@$(BIN)/python -m tests.faults.descriptors $(ARGS)

signals: $(TEST_READY)  ## Stop, reload and pause servers in every state
	@$(BIN)/python -m tests.faults.signals $(ARGS)

clock: $(TEST_READY)  ## Set the clock forwards and back while people talk
	@$(BIN)/python -m tests.faults.clock $(ARGS)

soak: $(TEST_READY)  ## Half an hour at half load, in which nothing may grow
	@$(BIN)/python -m tests.faults.soak $(ARGS)

clean:  ## Remove everything that was generated
	rm -rf $(VENV) .tox .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov build dist _trial_temp*
	rm -rf src/*.egg-info src/twisted/plugins/dropin.cache
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo \
	  "SuperChat needs Python 3.11 or newer, and $(PYTHON) is not. Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo \
	  "$(PYTHON) has no venv module. Install it (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV) ..." >&2
	@$(PYTHON) -m venv --clear $(VENV)
	@touch $@

$(VENV)/.ready-run: $(VENV)/.made $(PACKAGING)
	@$(PIP_INSTALL) --editable .
	@$(VENV)/bin/python $(PLUGIN_CACHE)
	@touch $@

$(VENV)/.ready-test: $(VENV)/.made $(PACKAGING)
	@$(PIP_INSTALL) --editable '.[test]'
	@$(VENV)/bin/python $(PLUGIN_CACHE)
	@touch $@ $(VENV)/.ready-run

$(VENV)/.ready-dev: $(VENV)/.made $(PACKAGING)
	@$(PIP_INSTALL) --editable '.[dev]'
	@$(VENV)/bin/python $(PLUGIN_CACHE)
	@touch $@ $(VENV)/.ready-run $(VENV)/.ready-test
