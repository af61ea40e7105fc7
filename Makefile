# make run      start Parley            make test       format, lint, types and tests
# make bench    measure                 make try-slack  Parley in a Slack-like page, no account
# make shape    the house in figures    make format     mend what can be mended
#
# PYTHON=python3.12  another Python; BACKEND=cpu|cuda|metal  what llama.cpp is built for;
# HTTP=1  try-slack with deliveries over HTTP instead of Socket Mode.

PYTHON ?= python3
BIN := .venv/bin
INSTALL := deploy/setup/install.py
READY_TO_RUN := .venv/.ready-to-run
READY_TO_TEST := .venv/.ready-to-test
LOCAL_SLACK := $(if $(filter Linux,$(shell uname -s)),local-slack)
SOURCES := bot adapters tests deploy

.PHONY: help run test lint format bench shape try-slack local-slack dialects axe model-server vocabularies clients clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make\)/\1/p' Makefile

run: $(READY_TO_RUN)
	@$(BIN)/python -m bot run

test: $(READY_TO_TEST)
	@$(MAKE) --no-print-directory -j 2 clients lint $(LOCAL_SLACK) dialects axe model-server vocabularies
	$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder -rs --durations=15
	@echo "Format, lint, types and tests are all right."

lint: $(READY_TO_TEST)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy

format: $(READY_TO_TEST)
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

bench: $(READY_TO_TEST)
	@$(BIN)/python -m tests.benchmarks

shape: $(READY_TO_TEST)
	@$(BIN)/python -m tests.shape

try-slack: $(READY_TO_RUN)
	@$(BIN)/python -m deploy.slack.try_slack $(if $(HTTP),--http)

local-slack: $(READY_TO_TEST)
	@$(BIN)/python -m tests.local_slack

dialects: $(READY_TO_TEST)
	@$(BIN)/python -m tests.dialects.discord

axe: $(READY_TO_TEST)
	@$(BIN)/python -m tests.page.axe

vocabularies: $(READY_TO_TEST)
	@$(BIN)/python -m tests.vocabularies

clients: $(READY_TO_TEST)
	@$(BIN)/python -m tests.clients.environment

model-server: $(READY_TO_TEST)
	@$(BIN)/python -m tests.benchmarks.peer

clean:
	rm -rf .venv .cache .mypy_cache .pytest_cache .ruff_cache .hypothesis

$(READY_TO_RUN): requirements.txt $(wildcard deploy/setup/*.py)
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.11 or later (Debian: apt-get install python3 python3-venv)"; exit 1; }
	@$(PYTHON) $(INSTALL) run

$(READY_TO_TEST): $(READY_TO_RUN) tests/requirements.txt
	@$(PYTHON) $(INSTALL) test
