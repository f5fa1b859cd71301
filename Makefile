# Front door of InvertNAS: `make help` lists what there is.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.invertnas_installed
SOURCES := invertnas experiments examples tests
BLACK := $(BIN)/python -m black --line-length 120

export TF_CPP_MIN_LOG_LEVEL ?= 2

# $(call flag,NAME,VARIABLE) is --NAME='value', or nothing where the variable is not set.
flag = $(if $(strip $($(2))),--$(1)='$(strip $($(2)))')

PYTHON_CHECK := import sys; \
	v = sys.version_info[:2]; \
	sys.exit(None if (3, 10) <= v <= (3, 12) else "%s is Python %d.%d; InvertNAS needs 3.10, 3.11 or 3.12: \
	pass PYTHON=/path/to/python3.12, and another VENV if $(VENV) exists" % ((sys.executable,) + tuple(v)))

TABLES := table1 table2 table3 table4 table6 table7 table8 table9 table16 table17 table18 \
	thesis_table2 thesis_table4 thesis_table5 thesis_table6 remedies tradeoff
PRETRAIN := pretrain_nb101 pretrain_nb201 pretrain_nb301 pretrain_nbnlp pretrain_macro
ALIGNFLOW := train_alignflow_nb101 train_alignflow_nb201 train_alignflow_nb301 train_alignflow_nbnlp
DATA := data_nb101 data_nb201 data_nb301 data_nbnlp data_macro
PROXY := proxy_nb101 proxy_nb201 proxy_nb301 proxy_nbnlp
SPACE_nb101 := nasbench101
SPACE_nb201 := nasbench201
SPACE_nb301 := nasbench301
SPACE_nbnlp := nasbench_nlp
SPACE_macro := nasbench_macro

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install search distributed $(TABLES) suite all_nb201 figures ability own_space bench readme \
	hyperparameters compare_tables alignflow_sweep \
	$(PRETRAIN) $(ALIGNFLOW) $(PROXY) $(DATA) test test_slow format lint types docs check clean

# Variables of the command line that no goal reads are refused, with the nearest name.
GIVEN := $(foreach name,$(.VARIABLES),$(if $(findstring command line,$(origin $(name))),$(name)))
ifneq ($(strip $(filter-out PYTHON VENV,$(GIVEN))),)
COMPLAINT := $(shell $(firstword $(wildcard $(BIN)/python) $(PYTHON)) experiments/common/variables.py \
	$(firstword $(MAKEFILE_LIST)) '$(MAKECMDGOALS)' '$(filter-out PYTHON VENV,$(GIVEN))' 2>/dev/null)
ifneq ($(strip $(COMPLAINT)),)
$(error $(COMPLAINT))
endif
endif

help: ## List the targets and variables.
	@echo "usage: make TARGET [VARIABLE=value ...]"
	@echo
	@sed -n 's/^\([a-z][a-z0-9_]*\):[^#]*## \(.*\)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) \
		| while IFS='|' read -r target text; do printf '  %-22s %s\n' "$$target" "$$text"; done
	@echo
	@echo "variables of all tables (a value not given is the table's own default):"
	@echo "  TRIALS  QUERIES  SEED  JOBS  MEMBERS  numbers"
	@echo "  BENCHMARKS  DATASETS  METHODS         names, comma separated"
	@echo "  PRESET  INIT  OUT                     preset and initial sets of InvertNAS, results folder"
	@echo "variables of all: PYTHON (now $(PYTHON)), VENV (now $(VENV))"

install: $(STAMP) ## Create VENV with the pinned requirements and the package, editable; once.

$(STAMP): requirements.txt setup.cfg pyproject.toml
	@test -x $(BIN)/pip || command -v $(PYTHON) >/dev/null \
		|| { echo "no $(PYTHON) found; pass PYTHON=/path/to/python3.12" >&2; exit 1; }
	@test -x $(BIN)/pip || $(PYTHON) -c '$(PYTHON_CHECK)'
	@test -x $(BIN)/pip || { echo "creating $(VENV)"; $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -c '$(PYTHON_CHECK)'
	$(BIN)/python -m pip install --disable-pip-version-check --requirement requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -m pip check
	@touch $@

search: $(STAMP) ## Search live, CIFAR-100 on NAS-Bench-201: bar, table, curve, drawing; DATASETS= QUERIES= SEED= OUT=.
	$(BIN)/python -m invertnas.commands.main search --dataset=$(or $(DATASETS),cifar100) \
		--queries=$(or $(QUERIES),80) $(call flag,seed,SEED) $(call flag,method,METHODS) $(call flag,out,OUT)

distributed: $(STAMP) ## Runs on Dask clusters of this machine: efficiency, killed and stopped workers; OUT=.
	$(BIN)/python -m experiments.distributed $(call flag,out,OUT)

# One script for every table; only the variables that are set reach it.
table = $(BIN)/python -m experiments.tables --table=$@ $(call flag,trials,TRIALS) $(call flag,dataset,DATASETS) \
	$(call flag,benchmark,BENCHMARKS) $(call flag,init,INIT) $(call flag,kl_only,KL_ONLY) \
	$(call flag,methods,METHODS) $(call flag,preset,PRESET) $(call flag,queries,QUERIES) \
	$(call flag,seed,SEED) $(call flag,out,OUT) $(call flag,jobs,JOBS) $(call flag,members,MEMBERS)

table1: $(STAMP) ## Search NAS-Bench-101 and print paper Table 1.
	$(table)

table2: $(STAMP) ## Search NAS-Bench-201 and print paper Table 2; resumes, and skips finished searches.
	$(table)

table3: $(STAMP) ## Search NAS-Bench-301 and NAS-Bench-NLP and print paper Table 3.
	$(table)

table4: $(STAMP) ## Paper Table 4: initial sets at random, by proxy, by AlignFlow; KL_ONLY=1 leaves the searches out.
	$(table)

table6: $(STAMP) ## Paper Table 6: single INN and ensemble after 150 and 192 queries.
	$(table)

table7: $(STAMP) ## Paper Table 7: all methods on CIFAR-10, means and standard deviations.
	$(table)

table8: $(STAMP) ## Paper Table 8: the same on CIFAR-100.
	$(table)

table9: $(STAMP) ## Paper Table 9: the same on ImageNet16-120.
	$(table)

table16: $(STAMP) ## Paper Table 16: validity, uniqueness and novelty of the inverse path.
	$(table)

table17: $(STAMP) ## Paper Table 17: inverse-distance weights against the plain mean.
	$(table)

table18: $(STAMP) ## Paper Table 18: 1, 3, 5, 7 and 10 INNs.
	$(table)

thesis_table2: $(STAMP) ## Thesis Tables 2 and 7: the single INN after 190 and 400 queries.
	$(table)

thesis_table4: $(STAMP) ## Thesis Table 4: inverse candidates against random candidates.
	$(table)

thesis_table5: $(STAMP) ## Thesis Table 5: fine-tuning of the INN alone and end to end.
	$(table)

thesis_table6: $(STAMP) ## Thesis Table 6: without and with rank weights.
	$(table)

remedies: $(STAMP) ## Compare the sources of candidates, on ImageNet16-120 and where the best is not found by all.
	$(table)

tradeoff: $(STAMP) ## Cost against accuracy over all settings searched, and the growth of the cost with queries.
	$(table)

suite: $(STAMP) ## Every task x every method x ten seeds, with tests; TASKS= METHODS= PRESET= TRIALS= SEED= JOBS= OUT=.
	$(BIN)/python -m experiments.suite $(call flag,tasks,TASKS) $(call flag,methods,METHODS) $(call flag,preset,PRESET) \
		$(call flag,init,INIT) $(call flag,queries,QUERIES) $(call flag,trials,TRIALS) $(call flag,seed,SEED) \
		$(call flag,jobs,JOBS) $(call flag,out,OUT) $(call flag,chosen_on,CHOSEN_ON) \
		$(call flag,report_only,REPORT_ONLY)

# Weights, scores and results go below WORK; PRETRAINED and OUT name other folders.
all_nb201: $(STAMP) ## From nothing on NAS-Bench-201: GVAE, proxy, AlignFlow, searches, table; EPOCHS= TRIALS= WORK=.
	$(BIN)/python -m experiments.pretrain.pipeline $(call flag,work,WORK) $(call flag,pretrained,PRETRAINED) \
		$(call flag,out,OUT) $(call flag,epochs,EPOCHS) $(call flag,alignflow_epochs,ALIGNFLOW_EPOCHS) \
		$(call flag,cells,CELLS) \
		$(call flag,init,INIT) $(call flag,methods,METHODS) $(call flag,dataset,DATASETS) \
		$(call flag,preset,PRESET) $(call flag,queries,QUERIES) $(call flag,trials,TRIALS) $(call flag,seed,SEED)

figures: $(STAMP) ## Regression, inversion and latent map of FIGURES= on DATASETS=; data beside as CSV.
	$(BIN)/python -m experiments.figures $(call flag,figures,FIGURES) $(call flag,dataset,DATASETS) \
		$(call flag,preset,PRESET) $(call flag,init,INIT) $(call flag,seed,SEED) $(call flag,out,OUT)

ability: $(STAMP) ## What the GVAEs' decoders make of held-out graphs and of samples from a prior.
	$(BIN)/python -m experiments.studies.ability $(call flag,seed,SEED) $(call flag,out,OUT)

.PHONY: kill_test
kill_test: $(STAMP) ## Kill searches at KILLS= random moments and compare what the same command then ends in; INVERTNAS=.
	$(BIN)/python -m experiments.studies.kill_test $(call flag,kills,KILLS) $(call flag,invertnas,INVERTNAS) \
		$(call flag,seed,SEED) $(call flag,out,OUT)

own_space: $(STAMP) ## Example: define a small search space, pretrain its GVAE, search it.
	$(BIN)/python -m examples.own_space

bench: $(STAMP) ## Time steps, rounds and searches on this machine; appends to results/bench.json.
	$(BIN)/python -m experiments.speed $(call flag,out,OUT)

hyperparameters: $(STAMP) ## Print paper Tables 10 to 15 from the settings, beside the paper's values.
	@$(BIN)/python -m experiments.tables.hyperparameters

compare_tables: $(STAMP) ## Make every table again elsewhere and compare its CSV with the stored one; OUT=.
	$(BIN)/python -m experiments.tables.compare $(call flag,out,OUT)

readme: $(STAMP) ## Make the tables and pictures in README.md and docs/ again, from results and rules.
	$(BIN)/python -m experiments.pages

# SETTING=paper trains as the paper does; the default is sized for two CPU cores.
pretrain = $(BIN)/python -m experiments.pretrain.gvae --space=$(SPACE_$(@:pretrain_%=%)) $(call flag,seed,SEED) \
	$(call flag,setting,SETTING) $(call flag,epochs,EPOCHS)

pretrain_nb101: $(STAMP) ## Pretrain the GVAE of NAS-Bench-101 and write it to pretrained/; SEED= SETTING= EPOCHS=.
	$(pretrain)

pretrain_nb201: $(STAMP) ## Pretrain the GVAE of NAS-Bench-201 and write it to pretrained/; SEED= SETTING= EPOCHS=.
	$(pretrain)

pretrain_nb301: $(STAMP) ## Pretrain the GVAE of NAS-Bench-301 and write it to pretrained/; SEED= SETTING= EPOCHS=.
	$(pretrain)

pretrain_nbnlp: $(STAMP) ## Pretrain the GVAE of NAS-Bench-NLP and write it to pretrained/; SEED= SETTING= EPOCHS=.
	$(pretrain)

pretrain_macro: $(STAMP) ## Pretrain the GVAE of NAS-Bench-Macro and write it to pretrained/; SEED= SETTING= EPOCHS=.
	$(pretrain)

align = $(BIN)/python -m experiments.pretrain.alignflow --space=$(SPACE_$(@:train_alignflow_%=%)) \
	$(call flag,seed,SEED) $(call flag,epochs,EPOCHS)

train_alignflow_nb101: $(STAMP) ## Train AlignFlow of NAS-Bench-101 and write it to pretrained/; SEED= EPOCHS=.
	$(align)

train_alignflow_nb201: $(STAMP) ## Train AlignFlow of NAS-Bench-201 and write it to pretrained/; SEED= EPOCHS=.
	$(align)

train_alignflow_nb301: $(STAMP) ## Train AlignFlow of NAS-Bench-301 and write it to pretrained/; SEED= EPOCHS=.
	$(align)

train_alignflow_nbnlp: $(STAMP) ## Train AlignFlow of NAS-Bench-NLP and write it to pretrained/; SEED= EPOCHS=.
	$(align)

alignflow_sweep: $(STAMP) ## Sweep the settings of AlignFlow that the paper leaves open, on NAS-Bench-201.
	$(BIN)/python -m experiments.studies.alignflow_sweep $(call flag,epochs,EPOCHS) $(call flag,out,OUT)

# The full space, then the reduced one; what is finished is not scored again. One process takes one core.
score = $(BIN)/python -m experiments.pretrain.proxy_scores --space=$(SPACE_$(@:proxy_%=%)) $(call flag,proxy,PROXY_NAME) \
	$(call flag,count,COUNT) $(call flag,seed,SEED) $(call flag,out,OUT)

proxy_nb101: $(STAMP) ## Score NAS-Bench-101 cells with NWOT, full and reduced space; COUNT= SEED= OUT= PROXY_NAME=.
	$(score)
	$(score) --reduced

proxy_nb201: $(STAMP) ## Score all NAS-Bench-201 cells with NWOT, full and reduced space; the same variables.
	$(score)
	$(score) --reduced

proxy_nb301: $(STAMP) ## Score NAS-Bench-301 architectures with NWOT, full and reduced space; the same variables.
	$(score)
	$(score) --reduced

proxy_nbnlp: $(STAMP) ## Score NAS-Bench-NLP cells with epsinas, full and reduced space; the same variables.
	$(score)
	$(score) --reduced

data_nb101: $(STAMP) ## Build the NAS-Bench-101 table from TFRECORD=file (official); prints where to get it.
	$(BIN)/python -m experiments.benchmark_data.nb101.build $(call flag,tfrecord,TFRECORD) $(call flag,known,KNOWN) \
		$(call flag,test_means,TEST_MEANS) \
		$(call flag,out,OUT)

data_nb201: $(STAMP) ## Rebuild the NAS-Bench-201 table from CSV=file or PTH=file; OUT= to write elsewhere.
	$(BIN)/python -m experiments.benchmark_data.nb201 $(call flag,csv,CSV) $(call flag,pth,PTH) $(call flag,out,OUT)

data_nbnlp: $(STAMP) ## Rebuild NAS-Bench-NLP from RECIPES= and CURVES=, or from the official LOGS=folder.
	$(BIN)/python -m experiments.benchmark_data.nbnlp.build $(call flag,recipes,RECIPES) $(call flag,curves,CURVES) \
		$(call flag,logs,LOGS) $(call flag,out,OUT)

data_macro: $(STAMP) ## Rebuild the NAS-Bench-Macro table from JSON=file; OUT= to write elsewhere.
	$(BIN)/python -m experiments.benchmark_data.macro $(call flag,json,JSON) $(call flag,out,OUT)

data_nb301: $(STAMP) ## Verify the NAS-Bench-301 surrogate and refit its calibration; MODELS= checks official models.
	$(BIN)/python -m experiments.benchmark_data.nb301.build $(call flag,source,SOURCE) $(call flag,models,MODELS) $(call flag,out,OUT)

test: export TF_NUM_INTRAOP_THREADS ?= 1
test: export TF_NUM_INTEROP_THREADS ?= 1
test: $(STAMP) ## Run the fast tests.
	$(BIN)/python -m pytest --numprocesses=auto --dist=loadfile

test_slow: $(STAMP) ## Run the slow tests.
	$(BIN)/python -m pytest -m slow

format: $(STAMP) ## Rewrite the style: isort, black.
	$(BIN)/python -m isort $(SOURCES)
	$(BLACK) $(SOURCES)

lint: $(STAMP) ## Check style: flake8, black, isort.
	$(BIN)/python -m flake8 $(SOURCES)
	$(BLACK) --check $(SOURCES)
	$(BIN)/python -m isort --check-only $(SOURCES)

types: $(STAMP) ## Check types: mypy.
	$(BIN)/python -m mypy

docs: $(STAMP) ## Build the documentation into site/; any warning is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

check: lint types test ## All of lint, types and test.

clean: ## Delete caches and build output; keeps VENV, results and checkpoints.
	rm -rf build dist site invertnas.egg-info .mypy_cache .pytest_cache
	find $(SOURCES) -type d -name __pycache__ -prune -exec rm -rf {} +
