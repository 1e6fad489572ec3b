# Each target sets up what is missing: the Debian packages of the sandbox, a virtual environment, the package in it.
# make setup | exercise [ARGS="-m ecs_failover"] | test [ARGS=...] | check | bench      [PYTHON=python3.13]

PYTHON ?= python3
VENV ?= .venv$(if $(filter-out python3,$(notdir $(PYTHON))),-$(notdir $(PYTHON)))
BIN := $(VENV)/bin
ARGS ?=
# The tests mostly wait for real parts, so there are more workers than processors; a file's tests stay together.
WORKERS ?= 4
READY := $(VENV)/.ready

.PHONY: setup exercise test sweep check bench programs test-programs clean

setup: programs

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "pytest-envdr needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V). To go on: make PYTHON=python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make a virtual environment. To go on: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[sandbox,terraform,dev]'
	@touch $@

# What the sandbox stands on, and what the tests ask it with. $(call install,PROGRAMS)
define install
	@packages=$$($(BIN)/python -m pytest_envdr.sandbox.programs $(1)) || exit 1; \
	[ -z "$$packages" ] && exit 0; \
	if [ "$$(uname -s)" != Linux ]; then \
	  echo "The sandbox is for Linux; the plugin itself runs here against a stack file (--envdr-stack)." >&2; exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then as=; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then as=sudo; \
	else echo "Missing for the sandbox, and apt-get is not there or not allowed. Debian's packages that bring it: $$packages" >&2; exit 1; fi; \
	echo "apt-get install $$packages"; \
	$$as apt-get -qq update && DEBIAN_FRONTEND=noninteractive $$as apt-get -qq install -y --no-install-recommends $$packages >/dev/null
endef

programs: $(READY)
	$(call install,)

test-programs: $(READY)
	$(call install,aws curl rclone async-aws)

exercise: programs
	$(BIN)/python -m pytest dr_tests $(ARGS)

# Servers, workers and drills run in real time, four files at once on what may be two cores: a deadline can fall to the
# load. What failed is run once more with the machine to itself; both runs are printed, and a test that is named in the
# first alone is one to mend. The first red one ends it, so that a broken project is not run twice.
ALONE = $(BIN)/python -m pytest tests -m "not sweep" --last-failed --last-failed-no-failures none --maxfail 1 $(ARGS)

test: test-programs
	$(BIN)/python -m pytest tests --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not sweep" $(ARGS) \
	  || { [ $$? -eq 1 ] && $(ALONE); }

sweep: test-programs
	$(BIN)/python -m pytest tests -m sweep $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: test-programs
	$(call install,pt-table-checksum)
	$(BIN)/python -m bench $(ARGS)

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
