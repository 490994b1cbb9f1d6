# make demo     set up .venv, fetch the embedded model, run the demo to its report
# make test     set up .venv with the test tools, run all tests
# make check    ruff, format, mypy, fast tests: under two minutes, offline once installed
# make bench    benchmarks, as ratios side by side
# make trl      TRL into .trl, so that `make bench` trains with it too
# TORCH_INDEX=<URL>  take torch from that index (for instance CPU builds, where the default one offers CUDA only)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: install install-dev models demo test check bench trl clean

install: $(VENV)/installed
install-dev: $(VENV)/installed-dev

$(VENV)/torch: constraints.txt tools/install_torch.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python tools/install_torch.py constraints.txt
	touch $@

$(VENV)/installed: $(VENV)/torch pyproject.toml
	$(PIP) -e ".[demo]"
	touch $@

$(VENV)/installed-dev: $(VENV)/installed
	$(PIP) -e ".[dev]"
	touch $@

models: install
	$(BIN)/promptcot models --fetch all

demo: models
	$(BIN)/promptcot demo

test: install-dev
	$(BIN)/promptcot models --fetch all
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not slow"

bench: install-dev
	$(BIN)/promptcot models --fetch all
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.concepts
	$(BIN)/python -m benchmarks.estep

trl: install-dev
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --upgrade --target .trl trl==1.16.0

clean:
	rm -rf $(VENV) .trl runs
