# build: everything needed to use resspec, then one network on each backend.
# test, lint: what CI runs. conformance, fuzz: the long versions.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PACKAGING := pyproject.toml constraints.txt
JOBS ?= 2

.PHONY: build test quick lint format docs conformance fuzz clean

build: $(VENV)/.installed
	$(BIN)/resspec build specs/resnet34.yaml --backend torch
	$(BIN)/resspec build specs/resnet34.yaml --backend tensorflow

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS)

quick: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/generate.py

conformance: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) tests/conformance tests/parity tests/zoo

fuzz: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -n $(JOBS) tests/properties

clean:
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(PACKAGING) | $(BIN)/python
	$(PIP) -e '.[all]'
	touch $@

# torchvision and timm without their dependencies: they would exchange a CPU build of torch for
# the one that they were compiled against, and only their Python code is needed.
$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) -e '.[all,dev]'
	$(PIP) huggingface-hub onnx onnxruntime onnxscript pillow
	$(PIP) --no-deps timm torchvision
	touch $@
