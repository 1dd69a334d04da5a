# Everything from a bare clone: each target makes its own .venv first.
PYTHON ?= python3
VENV := .venv
# The build of torch: cpu, or cuda, which is PyPI's (3 GB with CUDA's libraries on Linux, a plain one elsewhere).
TORCH ?= $(if $(shell nvidia-smi -L 2>/dev/null),cuda,cpu)
CPU_TORCH = $(shell grep -o '^torch==[0-9.]*' requirements-torch.lock)+cpu
# pip would spend half of its time on compiling every module; Python keeps what it compiles at the first import.
unexport PYTHONDONTWRITEBYTECODE
PIP := python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.PHONY: reproduce suite confirmation methods easy-to-hard real check test stress lint lock

# Stages at a time: JOBS=4; else one for each GPU, without any 2. Each takes up to a gigabyte.
REPRODUCE = python -m w2s reproduce $(if $(JOBS),--jobs $(JOBS))

reproduce: $(VENV)/installed  ## rebuild every result, then compare it with the committed one
	$(REPRODUCE)
	python -m w2s verdict

# The paper's three settings, the same on ten other replicates, every method, hard tests of easy lessons: each leaves its
# grid in params.yaml.
suite confirmation methods easy-to-hard: $(VENV)/installed
	$(REPRODUCE) --grid grids/$@.yaml
	python -m w2s verdict

real: $(VENV)/installed  ## pretrained models on real texts, from the hub or its cache; leaves its grid in params.yaml
	$(REPRODUCE) --grid grids/real.yaml
	python -m w2s verdict
	$(REPRODUCE) --grid grids/real-smollm2.yaml
	python -m w2s verdict

check: lint  ## lint, types, and every test under a second
	python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'not slow'

test: $(VENV)/installed  ## all tests
	python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

stress: $(VENV)/installed  ## mutants of params.yaml, damaged files, kills: each in order, or one line says what is wrong
	python -m benchmarks.mutated_params 1000
	python -m benchmarks.damaged_files 300
	python -m tests.pipeline.kills 30

lint: $(VENV)/installed
	ruff check .
	ruff format --check .
	mypy

lock:  ## renew requirements.lock and requirements-torch.lock after a change of pyproject.toml
	$(PYTHON) tools/lock.py

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("w2s needs Python 3.11 or newer; say which: make PYTHON=python3.11 …") if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)

# Nothing is resolved: the locks name every package with its version and hashes. The CPU build of torch has no hash, since
# it comes from another index than PyPI; where pip finds none, PyPI's build runs without a GPU too.
$(VENV)/installed: pyproject.toml requirements.lock requirements-torch.lock | $(VENV)/bin/python
	$(PIP) --require-hashes -r requirements.lock
	@test $(TORCH) = cpu && $(PIP) $(CPU_TORCH) 2>/dev/null && echo "installed $(CPU_TORCH)" || { set -x; \
		$(PIP) --require-hashes -r requirements-torch.lock; }
	$(PIP) --no-build-isolation -e .
	touch $@
