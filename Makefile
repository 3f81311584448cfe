# Two commands: `make course` opens the course, `make test` proves that everything works.
# Both start from Python 3.11 and make alone. Another Python: make course PYTHON=/path/to/python3.12

VENV := .venv
RUN := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
INSTALLING := $(VENV)/.installing

IS_NEW_ENOUGH := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for name in python3.11 python3 python3.12 python3.13 python; do \
	"$$name" -c '$(IS_NEW_ENOUGH)' >/dev/null 2>&1 && echo "$$name" && break; done)

# What computes on a GPU: these tests run once more on one of Apple, pretended (tests/pretended_device.py).
ON_A_GPU := $(addprefix tests/unit/,slots networks metrics discovery set_prediction reconstruction training)

# Two processes share the tests, file by file. Each may take 2 GB of memory: make test WORKERS=1 needs less.
WORKERS ?= 2
TOGETHER := -n $(WORKERS) --dist loadfile

.PHONY: course test check notebooks bench clean

course: $(INSTALLED)  ## open JupyterLab on the first notebook
	$(RUN) -m smm_tutorial.course.launch

# The smallest sizes; and one thread, since for models that small a second one costs more than it gives.
test check: export SMM_PROFILE ?= ci
test check notebooks: export OMP_NUM_THREADS ?= 1
test: $(INSTALLED)  ## everything: lint, gates, unit tests, every notebook, the browser
	@SMM_PRETENDED_DEVICE=mps $(RUN) -m pytest -q -r fE $(TOGETHER) $(ON_A_GPU)
	@$(RUN) -m pytest $(TOGETHER)

check: $(INSTALLED)  ## what a developer runs often: no notebooks, no browser
	@$(RUN) -m pytest $(TOGETHER) tests/gates tests/unit

notebooks: $(INSTALLED)  ## make and execute every .ipynb from its source
	$(RUN) -m smm_tutorial.course.notebooks

bench: $(INSTALLED)  ## measure speed and memory, as ratios in one run
	$(RUN) -m tests.benchmarks

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# A stamp says that the environment is complete for these two files. An installation that was killed half-way leaves
# its mark, and the next command starts it afresh; with everything in place, pip is not even started.
$(INSTALLED): pyproject.toml constraints.txt
	@"$(PYTHON)" -c '$(IS_NEW_ENOUGH)' 2>/dev/null || { \
		echo "This course needs Python 3.11 or newer with its venv module, and '$(PYTHON)' is not that."; \
		echo "Install it (python.org; Debian and Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3.11"; \
		exit 1; }
	@if [ -e $(INSTALLING) ] || ! $(RUN) -m pip --version >/dev/null 2>&1; then \
		echo "Creating $(VENV) with $(PYTHON)"; rm -rf $(VENV) && "$(PYTHON)" -m venv $(VENV); fi
	@touch $(INSTALLING)
	$(RUN) -m pip install --disable-pip-version-check -c constraints.txt -e '.[notebooks,test]' \
		|| { rm -f $(INSTALLING); exit 1; }
	@rm -f $(INSTALLING) && touch $(INSTALLED)
