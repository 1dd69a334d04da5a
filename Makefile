# Everything from a bare clone: each target makes its own .venv first.
PYTHON ?= python3
VENV := .venv
JOBS ?= 2  # stages at a time; each takes about half a gigabyte
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: reproduce suite methods test lint

reproduce: $(VENV)/runtime  ## rebuild every result, then compare it with the committed one
	python -m w2s reproduce --jobs $(JOBS)
	python -m w2s verdict

suite: $(VENV)/runtime  ## the paper's three settings; leaves its grid in params.yaml
	python -m w2s reproduce --jobs $(JOBS) --grid grids/suite.yaml
	python -m w2s verdict

methods: $(VENV)/runtime  ## every method over five seeds; leaves its grid in params.yaml
	python -m w2s reproduce --jobs $(JOBS) --grid grids/methods.yaml
	python -m w2s verdict

test: $(VENV)/test
	python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

lint: $(VENV)/test
	ruff check .
	ruff format --check .
	mypy

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("w2s needs Python 3.11 or newer; say which: make PYTHON=python3.11 …") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

$(VENV)/runtime: pyproject.toml | $(VENV)/bin/python
	python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/test: pyproject.toml | $(VENV)/bin/python
	python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	touch $@ $(VENV)/runtime
