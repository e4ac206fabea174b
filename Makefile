# make train: set up and run the main job. make test: set up and run all tests. Everything lives in .venv.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python

.PHONY: setup data train table1 test lint pictures notebooks site results bench clean

setup: $(VENV)/ready-to-test

$(VENV)/ready: pyproject.toml requirements.txt
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'minifcn needs Python 3.10 or newer: make PYTHON=python3.x')"
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --editable ".[mpi]"  # setuptools warns at length of editable installs
	touch $@

$(VENV)/ready-to-test: $(VENV)/ready
	PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --editable ".[test,emulator]"
	touch $@

# draws toytown where that has not been done, and checks it
data: $(VENV)/ready
	$(PY) -m minifcn.check_data toytown

train: data
	$(PY) -m minifcn.train

# the lab report's table and its claims, on toytown: runs/table1_toytown/report.html; about half an hour on two cores
table1: data
	PYTHONWARNINGS=ignore $(PY) -m pip install --quiet --editable ".[experiments]"
	$(PY) -m experiments.table1

test: setup
	$(PY) -m pytest -n 2

lint: setup
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

# docs/pictures/: those that are not what their code draws
pictures: setup
	$(PY) -m docs.pictures

# build/notebooks/: each page whose code runs
notebooks: setup
	$(PY) -m docs.notebooks

# build/site/index.html
site: setup
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs --quiet build --strict
	@echo build/site/index.html

# docs/results.md from the committed runs; `python -m experiments.results run` makes those anew (about half an hour)
results: setup
	$(PY) -m experiments.results report

# against PyTorch and ncnn on this CPU, about 40 minutes: prints, and writes docs/benchmarks.md
bench: setup
	$(PY) -m pip install --quiet torch==2.13.0 ncnn==1.0.20261020
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(PY) experiments/speed/choice.py
	env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE $(PY) experiments/speed/bench.py

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .ruff_cache
