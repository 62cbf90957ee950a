# Every task a person runs. `make` alone lists them.

PYTHON := .venv/bin/python
READY := .venv/.ready
KERAS := .venv/.keras
PORT ?= 8000
BENCHMARKS := $(filter-out __init__ timing,$(basename $(notdir $(wildcard benchmarks/*.py))))
EXPERIMENTS := $(filter-out __init__ record,$(basename $(notdir $(wildcard experiments/*.py))))
# nbgrader goes on without a configuration that cannot be loaded, and so without referee; not here.
STRICT := TRAITLETS_APPLICATION_RAISE_CONFIG_FILE_ERROR=1

.DEFAULT_GOAL := help
.PHONY: help book serve lab keras exercises notebooks class check links stamp audit test bench experiments clean

help: ## list these targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

$(READY): requirements.txt pyproject.toml tools/environment.py
	@command -v python3 >/dev/null || { echo "make: Python 3.11 or newer is needed, and there is no python3"; exit 1; }
	@python3 tools/environment.py

$(KERAS): $(READY) requirements-keras.txt
	@$(PYTHON) tools/environment.py --keras

book: $(READY) ## build the HTML book into build/html
	@$(PYTHON) -m tools.book

serve: book ## build the book and serve it at http://localhost:8000 (PORT=…)
	@echo "http://localhost:$(PORT)  (Ctrl-C stops it)"
	@$(PYTHON) -m http.server --bind 127.0.0.1 --directory build/html $(PORT)

lab: $(READY) ## open JupyterLab with the nbgrader panels
	@$(STRICT) PATH="$(CURDIR)/.venv/bin:$$PATH" $(PYTHON) -m jupyter lab

keras: $(KERAS) ## add Keras to .venv, which only chapter a2 needs

exercises: $(READY) ## make exercises/ from solutions/
	@$(PYTHON) -m tools.exercises

notebooks: $(KERAS) ## execute and normalize all notebooks, or one (ONE=chapters/NAME.ipynb)
	@$(PYTHON) -m tools.notebooks $(ONE)

class: $(READY) ## play a small class in a temporary folder, from release to grades (KEEP=1 keeps it)
	@$(STRICT) $(PYTHON) -m tools.demo_class $(if $(KEEP),--keep)

check: $(READY) ## check the questions of a problem set (SET=ps1)
	@$(PYTHON) -m referee check $(or $(SET),ps1)

links: book ## list the external links of the book, into build/links.txt
	@$(PYTHON) -m tools.links

stamp: $(READY) ## write the repository's address into badges and first cells (REPOSITORY=https://…)
	@$(PYTHON) -m tools.stamp $(REPOSITORY)

test: $(KERAS) ## run the tests, or one part (PART=name)
	@$(PYTHON) -m tools.test $(PART)

audit: book ## run Lighthouse on the built book (RUNS=3, PAGE=word in a name)
	@$(PYTHON) -m tools.audit $(if $(RUNS),--runs $(RUNS)) $(if $(PAGE),--page $(PAGE))

bench: $(READY) ## run the benchmarks
	@set -e; for name in $(BENCHMARKS); do $(PYTHON) -m benchmarks.$$name; done

experiments: $(READY) ## run the long comparisons again (a few hours of one core)
	@set -e; for name in $(EXPERIMENTS); do $(PYTHON) -m experiments.$$name; done

clean: ## remove the built book and other generated files; .venv stays
	@rm -rf build
	@find . -path ./.venv -prune -o -type d \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
