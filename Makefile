# The two commands to know: `make demo` and `make test`; `make try` is the first minute. All make .venv first, with nothing
# but Python, pip and make; each installs what it needs.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
# One thread a test process: two processes share the cores better than their threads would.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest
# Each process takes a half of the tests as they stand, and then from the other's: what a module's tests share is mostly
# made once.
TOGETHER := --numprocesses 2 --dist worksteal

.PHONY: try demo docs test test-long test-browser abuse quick torture check release-check lowest bench iu clean
.DEFAULT_GOAL := help

help:
	@echo "make try     one report with evidence about a drawn X-ray (the installation, and some seconds)"
	@echo "make demo    draw X-rays, train, write and score reports, make a page (some 8 minutes on two cores with bf16)"
	@echo "make docs    build the site of the docs into site/, without a network"
	@echo "make test    run the tests"
	@echo "make test-long   run those that make test leaves out because each takes long: several processes, exports, whole trials"
	@echo "make test-browser   drive the reading page in Chromium (needs chromium, node and npm)"
	@echo "make abuse   send 500 hostile uploads to a server"
	@echo "make quick   run the tests that take no more than a few seconds each"
	@echo "make torture kill a training thirty times and compare what comes of it (a few minutes)"
	@echo "make check   formatting, lint, types, direction of imports"
	@echo "make release-check  build wheel and sdist, install them alone and with extras, try them (minutes)"
	@echo "make lowest  run tests with the lowest version of each dependency (downloads it: torch alone may be 3 GB)"
	@echo "make bench   measure the drawings, the labeler and the arithmetic"
	@echo "make iu      the experiments on IU X-Ray, from the films to docs/results/iu_xray.md (hours; give it again to go on)"
	@echo "make clean   remove .venv and what make try and make demo wrote"

$(BIN)/pip:
	@$(PYTHON) -c 'import sys; sys.exit("XProNet needs Python 3.11 or later: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv .venv

$(BIN)/try-installed: pyproject.toml constraints.txt | $(BIN)/pip
	@echo "Installing into .venv: minutes, most of it for PyTorch"
	@$(PIP) --editable .
	@touch $@

$(BIN)/demo-installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --editable '.[demo]'
	touch $@ $(BIN)/try-installed

$(BIN)/docs-installed: pyproject.toml constraints.txt | $(BIN)/pip
	$(PIP) --editable '.[docs]'
	touch $@

$(BIN)/installed: pyproject.toml constraints.txt tests/outside/package/pyproject.toml | $(BIN)/pip
	$(PIP) --editable '.[text,dicom,metrics,datasets,plots,serve,train,onnx,openvino,docs,dev]' --editable tests/outside/package
	touch $@ $(BIN)/demo-installed $(BIN)/try-installed $(BIN)/docs-installed

try: $(BIN)/try-installed
	@$(BIN)/xpronet report --demo

demo: $(BIN)/demo-installed
	$(BIN)/xpronet demo --out demo --overwrite

docs: $(BIN)/docs-installed
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going docs site
	@echo "site/index.html"

test: $(BIN)/installed
	$(PYTEST) $(TOGETHER)

test-long: $(BIN)/installed
	$(PYTEST) $(TOGETHER) -m long

test-browser: $(BIN)/installed
	cd tests/browser && npm ci --silent --no-audit --no-fund --ignore-scripts
	$(PYTEST) --numprocesses 0 tests/browser

abuse: $(BIN)/installed
	XPRONET_ABUSE=500 $(PYTEST) --numprocesses 0 -s tests/serve/test_abuse.py

quick: $(BIN)/installed
	$(PYTEST) $(TOGETHER) -m "not slow and not long and not torture"

torture: $(BIN)/installed
	$(PYTEST) -m torture --capture=no

check: $(BIN)/installed
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

release-check: $(BIN)/installed
	$(BIN)/python tests/release/check_release.py

# What reads and writes by way of a dependency. Shapes are not enforced: jaxtyping's oldest plugin cannot.
LOWEST_TESTS := tests/test_api.py tests/test_cli_habits.py tests/corpora/test_table.py tests/corpora/test_dataset_card.py \
	tests/deploy tests/dicom_output tests/encoders tests/images tests/model tests/serve tests/show tests/training/test_loop.py

lowest:
	$(PYTHON) -m venv .lowest
	.lowest/bin/pip install --quiet --disable-pip-version-check --constraint constraints-lowest.txt '.[all]' \
		pytest hypothesis beartype pyyaml
	OMP_NUM_THREADS=1 .lowest/bin/python -m pytest -o addopts=--strict-markers -q -m "not slow and not torture" $(LOWEST_TESTS)

bench: $(BIN)/installed
	$(BIN)/python benchmarks/phantom.py
	$(BIN)/python benchmarks/labeler.py
	$(BIN)/python benchmarks/latency.py --small --runtimes torch onnxruntime openvino
	$(BIN)/python benchmarks/table.py --small

# Where the experiments on IU X-Ray find their films and leave their runs.
IU ?= ../shared/data/iu_xray
NIH ?= ../shared/data/nih_cxr14
RESNET ?= ../shared/weights/resnet50_v1_imagenet_fp16.safetensors
IU_OUT ?= iu_experiment

iu: $(BIN)/installed
	PATH="$(abspath $(BIN)):$$PATH" sh experiments/iu_xray.sh $(IU) $(NIH) $(RESNET) $(IU_OUT)
	$(BIN)/python experiments/iu_xray_page.py $(IU_OUT) --out docs/results/iu_xray.md

clean:
	rm -rf .venv .lowest demo site report_demo
