# The two commands: `make demo` and `make test`. Everything lives in .venv; nothing outside this folder is touched.
PYTHON ?= python3.11
VENV   ?= .venv
PEERS  := .venv-peers
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo test lint types bench docs clean
help:            ## Tell what there is
	@grep -E '^[a-z]+: .*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 12

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.base: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install -c constraints.txt -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) install -c constraints.txt -e '.[postgres,synthetic,fast,models,test,lint]'
	@touch $@

demo: $(VENV)/.base   ## Install, then run the nightly release of a generated shop through Airflow
	$(BIN)/veil demo run

test: $(VENV)/.test   ## Install what the tests need, and run them all
	$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.test   ## Style and layering
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test  ## Types
	$(BIN)/mypy

$(PEERS)/.done: benchmarks/peers.txt
	-$(PYTHON) -m venv $(PEERS) && $(PEERS)/bin/python -m pip --disable-pip-version-check --quiet install -r $< && touch $@

$(PEERS)-risk/.done: benchmarks/peers_risk.txt
	-$(PYTHON) -m venv $(PEERS)-risk && $(PEERS)-risk/bin/python -m pip --disable-pip-version-check --quiet install -r $< && touch $@

$(PEERS)-evaluation/.done: benchmarks/peers_evaluation.txt
	-$(PYTHON) -m venv $(PEERS)-evaluation && $(PEERS)-evaluation/bin/python -m pip --disable-pip-version-check --quiet install -r $< && touch $@

bench: $(VENV)/.test $(PEERS)/.done $(PEERS)-risk/.done $(PEERS)-evaluation/.done  ## Measure, print a table, write benchmarks/results/latest.json
	$(BIN)/python -m benchmarks

docs: $(VENV)/.base   ## Write the generated pages anew
	$(BIN)/veil schema > configs/policy.schema.json
	$(BIN)/python -m airflow_veil.privacy.transforms.reference > docs/transforms.md

clean:           ## Remove the environment and everything made
	rm -rf $(VENV) $(PEERS) $(PEERS)-risk $(PEERS)-evaluation build dist *.egg-info demo
