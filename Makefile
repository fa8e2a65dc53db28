# build: everything needed to use resspec, then one network on each backend.
# test, lint: what CI runs. test-slow: random cases and networks of every turn. test-core: no framework,
# on any Python. conformance, folding, fuzz: the long versions.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
PACKAGING := pyproject.toml constraints.txt
JOBS ?= 2
# Networks with more parameters are left out of the table: each parameter takes some 50 bytes of
# memory and 32 of disk.
PARITY_LIMIT ?= 250000000
PARITY_SECONDS ?= 36000
FUZZ_SECONDS ?= 600
DEVICE ?= cpu
BENCH_SECONDS ?= 600

.PHONY: ships import-table build test test-slow test-core quick lint format codemirror docs site picture conformance parity-table folding fuzz bench gpu clean

build: $(VENV)/.installed
	$(BIN)/resspec build specs/resnet34.yaml --backend torch
	$(BIN)/resspec build specs/resnet34.yaml --backend tensorflow

TESTS = $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

test: $(VENV)/.installed-dev
	$(TESTS)

test-slow: $(VENV)/.installed-dev
	$(TESTS) --every-turn

quick: $(VENV)/.installed-dev
	$(TESTS) -m "not slow"

# make test-core PYTHON=python3.13
CORE = build/core-$(notdir $(PYTHON))
test-core:
	$(PYTHON) -m venv $(CORE)
	$(CORE)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt \
	  -e . hypothesis jsonschema pytest pytest-xdist
	$(CORE)/bin/python -m pytest -n $(JOBS) --dist worksteal -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The editor of `resspec play`, from the versions in package-lock.json; needs npm.
codemirror:
	cd resspec/play/codemirror && npm ci --no-audit --no-fund && npm run build && rm -rf node_modules

docs: $(VENV)/.installed-dev
	$(BIN)/python docs/counts.py
	$(BIN)/python docs/digests.py
	$(BIN)/python docs/generate.py

# The documentation as pages, build/site/index.html; a broken link or reference is an error.
site: $(VENV)/.installed
	$(PIP) -e '.[docs]'
	$(BIN)/python -m sphinx -W --keep-going -q docs build/site

# The picture of README.md: the report on ResNet-50 in a browser.
BROWSER ?= chromium
picture: $(VENV)/.installed
	@mkdir -p build
	$(BIN)/resspec report resnet50 -o build/resnet50.html --force
	$(BROWSER) --headless --no-sandbox --disable-gpu --hide-scrollbars --virtual-time-budget=9000 \
	  --user-data-dir=build/browser --window-size=1280,900 \
	  --screenshot=docs/pictures/report.png build/resnet50.html

# Every architecture against its original: docs/measured/conformance.csv, from which
# docs/conformance.md is drawn. ONLY='--family timm/resnet --backends torch,jax --budget 3600' for a
# part. What the table has of today's code is not run again.
conformance: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.conformance.run --resume $(ONLY); status=$$?; \
	$(BIN)/python docs/generate.py; exit $$status

# Which networks `resspec import` brings in, and how equal: docs/measured/import.csv, from which
# docs/import-table.md is drawn. Stopped, it goes on where it was, unless that file is deleted;
# PROOF=structure for a quick one, AGAIN=--again to try what is there on today's code.
import-table: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.lift.table $(if $(PROOF),--proof $(PROOF)) $(if $(TABLE_JOBS),--jobs $(TABLE_JOBS)) \
	  $(if $(MINUTES),--minutes $(MINUTES)) $(AGAIN) $(SOURCES)

# Every shipped spec on torch and on another backend: docs/measured/parity.csv, from which
# docs/parity.md is drawn. ONLY='--backends tensorflow,jax --dtypes float64' for a part. What the
# table has of today's code is not run again.
parity-table: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.parity.table --resume --max-params $(PARITY_LIMIT) \
	  --budget $(PARITY_SECONDS) $(ONLY); status=$$?; \
	$(BIN)/python docs/generate.py; exit $$status

# One spec of each family in every kind of file: docs/measured/ships.csv, from which a part of
# docs/endpoints.md is drawn. ONLY='--files onnx:int8,tflite:int8 --budget 3600' for a part.
ships: $(VENV)/.installed-dev
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.export.ships $(ONLY); status=$$?; \
	$(BIN)/python docs/generate.py; exit $$status

# Every shipped spec, folded for inference, against itself; NAME='resnet*' for some, FILES=200 with
# the exported files of networks of at most so many operations. Stopped, it goes on where it was.
folding: $(VENV)/.installed-dev
	@mkdir -p build
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.folding.run --json build/folding.jsonl \
	  $(if $(FILES),--files $(FILES)) $(if $(NAME),--name '$(NAME)',--page docs/folding.md)

# Ten times the random specs of CI, the table of docs/soundness.md, then the loader and the
# expressions under a coverage-guided fuzzer. A crash it finds is kept by hand in tests/fuzz/corpus.
fuzz: $(VENV)/.installed-dev
	HYPOTHESIS_PROFILE=fuzz $(TESTS) tests/properties tests/fuzz
	$(BIN)/python -m tests.properties.report
	$(PIP) atheris
	$(foreach target,loader expression,mkdir -p build/fuzz/$(target) && \
	  $(BIN)/python -m tests.fuzz.run $(target) build/fuzz/$(target) \
	  -max_total_time=$(FUZZ_SECONDS) &&) true

# docs/measured/benchmarks.*.csv and the table of docs/benchmarks.md; DEVICE=cuda where torch alone
# is installed too. Rows that there is no time for stay as they were. PROFILE=1 also measures the
# figures that its reasons cite, on the CPU.
bench: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks --device $(DEVICE) --seconds $(BENCH_SECONDS); status=$$?; \
	$(if $(PROFILE),$(BIN)/python -m benchmarks.profiles;) \
	$(BIN)/python docs/generate.py; exit $$status

# Every family on a GPU against torch on the CPU, at most ten minutes: docs/measured/device.*.csv and
# docs/gpu.md. Needs no network, and no environment of its own where resspec is installed.
gpu:
	PYTHONPATH=$(CURDIR):$(CURDIR)/backends $(or $(wildcard $(BIN)/python),$(PYTHON)) \
	  -m benchmarks.device --seconds 540; status=$$?; \
	PYTHONPATH=$(CURDIR):$(CURDIR)/backends $(or $(wildcard $(BIN)/python),$(PYTHON)) \
	  docs/generate.py; exit $$status

clean:
	rm -rf build dist out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(PACKAGING) | $(BIN)/python
	$(PIP) -e '.[all]'
	$(BIN)/python -m compileall -q resspec backends  # as of a package that pip copies
	touch $@

# torchvision and its kind without their dependencies: they would exchange a CPU build of torch for
# the one that they were compiled against, and only their Python code is needed. PyPI has no
# torchvision that matches the CPU build, so tests/environment lets it be imported beside that.
$(VENV)/.installed-dev: $(VENV)/.installed $(wildcard tests/environment/*)
	$(PIP) -e '.[all,dev,docs,draw,examples,executorch,jax,lightning,openvino,plot,ray,tflite]'
	$(PIP) huggingface-hub onnx onnxruntime onnxscript pillow
	$(PIP) --no-deps timm torchinfo torchvision
	cp tests/environment/* $$($(BIN)/python -c 'import sysconfig as s; print(s.get_path("purelib"))')
	touch $@
