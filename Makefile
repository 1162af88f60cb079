PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

DATA ?= data/ml-1m

.PHONY: run test test-all check bench format clean

run: $(VENV)/.app  ## install what is needed, get MovieLens-100K, open the app on http://127.0.0.1:8501
	@# Without network the app still opens, and offers the download itself.
	-@$(PY) -m recformer data fetch ml-100k
	$(PY) -m streamlit run app.py

test: $(VENV)/.dev  ## all tests, in real processes and a real Chromium
	$(PY) -m tests.browser.chromium
	$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests

test-all: export RECFORMER_TESTS := all
test-all: test  ## the same with three times as many random examples, and all seeds of interrupted runs

check: $(VENV)/.dev  ## lint, formatting, the arrows between the parts, and types
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports --no-logo
	$(VENV)/bin/pyright

bench: $(VENV)/.dev  ## every benchmark against its target; DATA names the folder of MovieLens-1M
	$(PY) -m tests.browser.chromium
	$(PY) -m recformer data fetch ml-100k
	$(PY) -m benchmarks --data $(DATA)

format: $(VENV)/.dev  ## mend what lint and formatting can mend by themselves
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean:  ## remove the virtual environment; runs, models and data stay
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Recformer needs Python 3.11 to 3.14; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.app: requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: requirements-dev.txt requirements.txt | $(VENV)/bin/python
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@ $(VENV)/.app
