# Each target works on a bare machine with only Python 3.11 (or later) and make: it makes .venv, puts uv in it, installs what
# requirements.lock says, by version and hash, and then does its job. Nothing is installed outside .venv.
#
#   make demo   the main job, end to end, in a fresh home (CRM=path/to/export for your data, KEEP=1 to leave it up)
#   make test   the tests, on real engines             (ARGS="-k approval" to choose, ARGS="-m long" for the one that takes minutes)
#   make up     the stack on this machine, until Ctrl-C
#   make check  lint, format, types, import rules
#   make bench  the measured promises              (ARGS="--only dispatch --events 50" to choose)
#   make docs   these documents as a site, in site/; the browser tests make its pictures of the console
#   make lock   compile requirements.lock anew         (ARGS=--upgrade for newer versions)

.DEFAULT_GOAL := help
.PHONY: help demo test up check bench docs lock install

# The first Python that is new enough; PYTHON=… overrides. A name that does not run, or is too old, is passed over.
NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 15))
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3.14 python3 python; do \
	$$name -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && command -v $$name && break; done)
UV_VERSION := 0.13.8
BIN := .venv/bin
# Written last, so that an interrupted installation is done again; older than what it was made from, it is done again too.
STAMP := .venv/.installed
# Test processes, each with engines of its own. More than cores: a good part of the tests waits for a timer or a process to start.
WORKERS ?= 3
# Compiled now: without bytecode the first start of the stack takes twice as long. Where a network opens TLS, its certificate is in
# the system's store and not in uv's own, hence the second try below.
SYNC := $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.lock

help:
	@sed -n 's/^#   //p' Makefile

install: $(STAMP)

$(STAMP): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python from 3.11 to 3.14 with venv was found (on Debian: apt install python3-venv);" \
		"install one, or say where it is: make $(or $(MAKECMDGOALS),check) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@echo "installing into .venv from requirements.lock (once; a few minutes on a slow line)"
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv==$(UV_VERSION)"
	@first=$$($(SYNC) 2>&1) || { echo "once more, with the certificates of this system"; \
		$(SYNC) --system-certs || { echo "the first attempt said:" >&2; printf '%s\n' "$$first" >&2; exit 1; }; }
	@$(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP)
	@$(BIN)/spine demo $(if $(CRM),--crm "$(CRM)") $(if $(KEEP),--keep) $(ARGS)

up: $(STAMP)
	@$(BIN)/spine up $(ARGS)

test: $(STAMP)
	@$(BIN)/pytest -m "not long" -n $(WORKERS) --dist loadfile $(ARGS)

check: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(STAMP)
	$(BIN)/python -m benchmarks $(ARGS)

docs: $(STAMP)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)
	@echo "look at it: $(BIN)/python -m http.server --directory site --bind 127.0.0.1 8008"

# Versions and hashes, no download addresses: the same file serves every mirror.
lock:
	test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet "uv==$(UV_VERSION)"; }
	$(BIN)/uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-emit-index-url --no-header --quiet \
		--output-file requirements.lock $(ARGS)
