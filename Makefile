# Front door. Every target builds .venv when it is missing or older than the files it is made from.
#
#   make reproduce             the paper: every notebook, every figure and table, under figures/paper
#   make quick                 the same notebooks with small settings, under figures/quick
#   make walkforward           forecasts of every day since 1996, refitted each year, under figures/walkforward
#   make test                  static checks, unit tests, and the quick profile end to end
#   make yahoo                 asks Yahoo again; the next call runs what the answer changes
#   make check DATASET=my.csv  the data stage alone: can this history be trusted?
#   make lab                   JupyterLab on the same notebooks, to step through; outputs that it saves are no change to git
#   make figures               draws the figures of a finished run again: ONLY=fig07_fan WIDTH=3.4 FORMAT=pdf,svg TO=folder
#   make site                  renders the published run into site/, to be read in any browser, without a network
#   make pdf CHAPTER=03        prints a chapter of that site with Chromium: VARIANT=mse for another variant
#   make compare               holds the tables of a run against the committed ones
#   make test-browser          every chapter in a real JupyterLab and every page of the site, with Chromium: PART=lab or site
#   make test-histories        make quick on five histories unlike the paper's: short, calm, wild, open seven days a week
#   make test-latex            sets the article with every figure and table of PROFILE, and each table alone, with pdflatex
#   make bench                 speed of every model beside bare matrix multiplications
#   make unlock                after a killed run: lets the next call in
#   make help                  lists these commands and the variables
#   make clean                 removes .venv, runs, site and what the workflow remembers; figures/paper stays

# Variables, set as in make quick DATASET=nasdaq_logret CORES=1:
PYTHON  ?= python3
# paper or quick; sp500_logret, nasdaq_logret, dow_logret, russell2000_logret or a CSV with date,close,vix; snapshot or yahoo.
PROFILE ?= paper
DATASET ?= sp500_logret
SOURCE  ?= snapshot
CORES   ?= $(shell unset OMP_NUM_THREADS OMP_THREAD_LIMIT; nproc 2>/dev/null || getconf _NPROCESSORS_ONLN || echo 1)
# Of the history: first and last day as 2000-01-03, exchange (XNYS, XTKS, 24/7; none: any day), largest daily log-move.
START   ?=
END     ?=
CALENDAR ?=
MAX_MOVE ?=
# Where artefacts go.
RUNS    ?= runs
# Seeds as 0,1,2; empty means those of the profile.
SEEDS   ?=
# Of make figures and make compare: the folder of the run.
RUN     ?= $(RUNS)/$(PROFILE)/$(DATASET)
# Of make figures: names with commas, such as fig07_fan,fig11_*; the page in inches; formats; where they go.
ONLY    ?=
WIDTH   ?=
FORMAT  ?=
TO      ?= figures/redrawn
# Of make pdf: the number of a chapter, and its variant; empty means the one that README links.
CHAPTER ?=
VARIANT ?=
# Of make test-browser: lab, site, or nothing (the chapters with nothing run before); empty means lab and site.
PART    ?=
# Of make compare: the revision whose tables are the published ones.
AGAINST ?= HEAD
# Where pip finds another build of torch, for instance https://download.pytorch.org/whl/cpu
TORCH_INDEX ?=

BIN  := .venv/bin

# Text is UTF-8 whatever the locale.
export PYTHONUTF8 := 1
export PYTHONIOENCODING := utf-8

# Where the home cannot be written, as in many containers, caches go into the environment; nor need the user have a name.
ifeq ($(shell test -w "$$HOME" && echo yes),)
export HOME := $(CURDIR)/.venv/home
export LOGNAME ?= nobody
endif

q     = '$(subst ','\'',$(1))'
FLOW  = $(BIN)/snakemake --snakefile workflow/Snakefile --workflow-profile workflow/profiles/default \
        --directory $(call q,$(RUNS)) --cores $(call q,$(CORES)) $(2) --config profile=$(call q,$(1)) \
        dataset=$(call q,$(DATASET)) source=$(call q,$(SOURCE)) runs=$(call q,$(RUNS)) seeds=$(call q,$(SEEDS)) \
        start=$(call q,$(START)) end=$(call q,$(END)) calendar=$(call q,$(CALENDAR)) max_move=$(call q,$(MAX_MOVE)) --

.PHONY: help reproduce quick walkforward figures site pdf compare test test-browser test-latex test-histories check yahoo lab bench unlock clean

help:
	@sed -n 's/^# \{0,1\}//p; s/^\([A-Z_]*\) *?= */  \1 = /p; /^BIN/q' Makefile

reproduce: .venv/installed
	$(call FLOW,$(PROFILE),--forcerun publish) publish

quick: .venv/installed
	$(call FLOW,quick,--forcerun publish) publish

walkforward: .venv/installed
	$(call FLOW,paper,--forcerun walkforward) walkforward

check: .venv/installed
	$(call FLOW,$(PROFILE)) check

yahoo: SOURCE = yahoo
yahoo: .venv/installed
	$(call FLOW,$(PROFILE),--forcerun yahoo) yahoo

test: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile

# Also where the environment is gone again, git must be able to read what it tracks: without it notebooks stay as they are.
STRIP := if [ -x $(BIN)/nbstripout ]; then $(BIN)/nbstripout --keep-id --extra-keys metadata.language_info; else cat; fi

lab: .venv/installed
	-git config filter.notebook.clean '$(STRIP)'
	$(BIN)/jupyter lab --FileContentsManager.post_save_hook=chaoslib.pipeline.saving.refresh_git notebooks

comma := ,
FIRST_SEED = $(or $(firstword $(subst $(comma), ,$(SEEDS))),0)

figures: .venv/installed
	OMP_NUM_THREADS=1 $(BIN)/python workflow/redraw.py $(call q,$(RUN)) $(call q,$(TO)) --seed $(call q,$(FIRST_SEED)) $(if $(WIDTH),--width $(call q,$(WIDTH))) \
		$(if $(ONLY),--only $(foreach name,$(subst $(comma), ,$(ONLY)),$(call q,$(name)))) \
		$(if $(FORMAT),--format $(foreach name,$(subst $(comma), ,$(FORMAT)),$(call q,$(name))))

site: site/index.html

SHOWN = README.md $(wildcard guides/* notebooks/executed/*.ipynb $(addprefix figures/*/,*.* tables/* figdata/*) workflow/site/*.py workflow/site/*/*.*)

site/index.html: .venv/installed $(SHOWN)
	OMP_NUM_THREADS=1 $(BIN)/python -m workflow.site site

pdf: site/index.html
	$(BIN)/python -m workflow.site site --pdf $(call q,$(CHAPTER)) --variant $(call q,$(VARIANT))

compare: .venv/installed
	$(BIN)/python workflow/compare.py $(call q,$(RUN)) --published $(call q,$(AGAINST))

test-browser: .venv/installed
	$(BIN)/python -m pip install --quiet playwright axe-playwright-python
	$(BIN)/python -m tests.browser --runs $(call q,$(RUNS)) $(if $(PART),--only $(call q,$(PART)))

test-latex: .venv/installed
	$(BIN)/python tests/latex.py $(call q,figures/$(PROFILE))

test-histories: .venv/installed
	$(BIN)/python -m tests.histories $(call q,$(RUNS)/histories)

bench: .venv/installed
	$(BIN)/python workflow/bench.py

unlock: .venv/installed
	$(call FLOW,$(PROFILE),--unlock) publish

clean:
	rm -rf .venv runs site .snakemake build *.egg-info

# The scripts of a virtual environment name its folder: one that was moved is built anew.
ifneq ($(shell cat .venv/installed 2>/dev/null),$(CURDIR))
.PHONY: .venv/installed
endif

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python >= 3.11 is needed; try make PYTHON=python3.11")'
	$(PYTHON) -m venv --clear .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) -c constraints.txt -e '.[lab,test]'
	echo "$(CURDIR)" > $@
