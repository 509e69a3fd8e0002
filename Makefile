# make train   train on the embedded faces, with samples, an FID and a checkpoint
# make test    the tests (make test-all: the slow ones too; STACK=keras3: on TensorFlow's newest)
# make fuzz    the fuzz tests with many more examples, other ones each time
# make audit   known vulnerabilities of the pinned packages (needs the network)
# make test-tpu  training steps compiled for TPUs, without one (test-tpu-published: those of papers)
# make test-workers  several workers and devices on this machine, held equal to one
# make soak    strike runs in many ways for 20 minutes, and compare the bits of their weights
# make bench   all benchmarks, and their page: docs/benchmarks.md (45 minutes; ARGS=--quick: a trial)
# make lint    ruff

PYTHON ?= python3
STACK ?= default
ifeq ($(STACK),keras3)
VENV = .venv-keras3
# requirements.txt has Keras 3 only for Python 3.12 and up.
REQUIREMENTS = requirements-keras3.txt
OLDEST = 11
else ifeq ($(STACK),tpu)
# TensorFlow for TPUs and what compiles for them, which needs no TPU.
VENV = .venv-tpu
REQUIREMENTS = requirements-tpu.txt
OLDEST = 11
else ifeq ($(STACK),default)
VENV = .venv
REQUIREMENTS = requirements.txt
OLDEST = 10
else
$(error STACK is default, keras3 or tpu, not $(STACK))
endif
RUN = $(VENV)/bin/python
ARGS ?=
# A process of the tests takes 2 to 4 GB; more than a few gain little.
TEST = $(RUN) -m pytest -n auto --maxprocesses=4 --dist=worksteal

# A second Python, whose Keras 2 traces the steps too, if it is there: make test-tpu TRACE_PYTHON=...
TRACE_PYTHON ?= $(wildcard .venv/bin/python)

.PHONY: setup train test test-all test-tpu test-tpu-published test-workers fuzz soak bench audit lint clean

setup: $(VENV)/ready

$(VENV)/ready: $(REQUIREMENTS)
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; \
	(3, $(OLDEST)) <= v <= (3, 13) or sys.exit("Python 3.$(OLDEST) to 3.13 is needed, and $(PYTHON) is %d.%d. Choose another: make PYTHON=python3.11" % v)'
	@echo "Setting up $(VENV), once ..."
	@$(PYTHON) -m venv $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check -r $(REQUIREMENTS)
	@touch $@

train: setup
	$(RUN) train.py --policy=color,translation,cutout $(ARGS)

test: setup
	$(TEST) -m "not slow" $(ARGS)

test-all: setup
	$(TEST) $(ARGS)

fuzz: setup
	HYPOTHESIS_PROFILE=fuzz $(TEST) tests/fuzz $(ARGS)

test-workers: setup
	TEST_WORKERS=1 $(RUN) -m pytest tests/test_several_workers.py tests/test_cells.py $(ARGS)

soak: setup
	$(RUN) -m tools.soak $(ARGS)

bench: setup
	$(RUN) -m benchmarks $(ARGS)

# In an environment of its own; a package that the service does not know is an error too.
audit: setup
	@$(PYTHON) -m venv $(VENV)-audit
	@$(VENV)-audit/bin/pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip -r $(REQUIREMENTS) $(ARGS)

test-tpu test-tpu-published:
	@$(MAKE) --no-print-directory setup STACK=tpu
	TRACE_PYTHON=$(TRACE_PYTHON) .venv-tpu/bin/python -m pytest tests/tpu -rP --no-header \
		-n 2 --dist=worksteal -m "$(if $(findstring published,$@),slow,not slow)" $(ARGS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .

clean:
	rm -rf .venv .venv-keras3 .venv-tpu .venv-audit .venv-keras3-audit
