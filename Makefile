# Everything lives in .venv; a second call installs nothing. Set PYTHON to choose the interpreter.
PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
PIP_FLAGS ?=

.DEFAULT_GOAL = help
.PHONY: help run test quick lint docs lab notebooks clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'

run: $(VENV)/.installed ## make the data, run the notebooks, write runs/<time>-<dataset>/ (ARGS="--preset fast" to choose)
	$(BIN)/hsichem run $(ARGS)

test: $(VENV)/.installed-test ## run every test: the library, the notebooks, lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --durations=10 $(ARGS)

quick: $(VENV)/.installed-test ## run what is quick: the library and lint, no notebooks, no browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile -q -m "not slow and not browser" $(ARGS)

lint: $(VENV)/.installed-test ## check style and format only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/.installed-docs ## build the site into build/site from the notebooks as they are committed; a warning is an error
	rm -rf build/site
	TQDM_DISABLE=1 $(BIN)/python -m sphinx -q -W --keep-going -b html -d build/doctrees docs build/site
	@echo "open build/site/index.html"

lab: $(VENV)/.installed ## open the notebooks in JupyterLab
	$(BIN)/jupyter lab notebooks

notebooks: $(VENV)/.installed-test ## execute the notebooks in place (preset lesson, one thread) and clean them, before a commit
	rm -rf notebooks/results/phantom-belly-lesson-seed0
	for path in notebooks/*.ipynb notebooks/solutions/*.ipynb; do TQDM_DISABLE=1 OMP_NUM_THREADS=1 \
	  JUPYTER_PATH=$(VENV)/share/jupyter $(BIN)/python -m papermill --cwd notebooks $$path $$path || exit 1; done
	$(BIN)/nbstripout --keep-output --keep-count \
	  --extra-keys "metadata.papermill cell.metadata.papermill cell.metadata.execution" \
	  notebooks/*.ipynb notebooks/solutions/*.ipynb
	cp notebooks/results/phantom-belly-lesson-seed0/few-maps.png docs/maps.png
	cp notebooks/results/phantom-belly-lesson-seed0/puzzle.png notebooks/puzzle.png

clean: ## remove .venv and caches; runs/ stays
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis docs/api docs/lessons
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "hsichem needs Python 3.11 or later; found: $$($(PYTHON) --version 2>&1). Set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e ".[test]"
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(BIN)/python -m pip install $(PIP_FLAGS) -c constraints.txt -e ".[docs]"
	touch $@
