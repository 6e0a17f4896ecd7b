# Everything that a developer or CI runs; `make` alone lists it. Nothing is written outside this checkout but package caches.

PORT ?= 4566
ARCH ?= arm64
SNAPSTART ?= false
STACK ?=
OWNER ?=
ADMIN ?=
SCOPES ?=
FILES ?=
CUSTOMER ?=
FORCE ?=
PART ?=
ARGS ?= --help
ENDPOINT ?= http://127.0.0.1:8000

PYTHON_VERSION := 3.13
UV_VERSION := 0.13.9

# uv makes the virtual environments: the one on the PATH, otherwise a private one.
UV := $(or $(shell command -v uv 2>/dev/null),.local/uv/bin/uv)
ANY_PYTHON := $(or $(shell command -v python$(PYTHON_VERSION) 2>/dev/null),$(shell command -v python3 2>/dev/null))
export UV_PYTHON_INSTALL_DIR := $(CURDIR)/.local/python
unexport VIRTUAL_ENV PYTHONPATH

PYTHON := .venv/bin/python
# SAM CLI keeps its settings in this checkout and does not phone home; it wants the runtime's Python first on the PATH.
SAM := PATH="$(CURDIR)/.local/sam/bin:$$PATH" SAM_CLI_TELEMETRY=0 __SAM_CLI_APP_DIR="$(CURDIR)/.local/sam-home" sam

.DEFAULT_GOAL := help
.PHONY: help run test bench check build deploy token put-events api-key table pins clean

help: ## this list
	@echo "make <target>, where <target> is one of:"
	@sed -n 's/^\([a-z-]*\):.*## /  \1\t/p' $(firstword $(MAKEFILE_LIST)) | expand -t 14

run: .venv/.made .local/sam/.made .local/ministack/.made ## the whole stack on this machine, with demo data, until Ctrl-C (PORT=4566)
	@exec $(PYTHON) -m tools.run --port $(PORT)

test: .venv/.made .local/sam/.made .local/ministack/.made ## all tests: units, a real engine, the deployed stack
	$(PYTHON) -m pytest -n 2 --dist loadgroup

bench: .local/bench/.made .local/sam/.made .local/ministack/.made ## what requests cost, beside peers (PART=cold, warm, units, scale, load or imports; ARGS=--help)
	.local/bench/bin/python -m bench $(PART) $(if $(filter-out file,$(origin ARGS)),$(ARGS))

check: .venv/.made .local/sam/.made ## lint, types, import directions, template, documents
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy layers/shared/customers functions cli tools tests bench
	.venv/bin/lint-imports
	$(SAM) validate --lint --region us-east-1
	$(PYTHON) -m tools.documents --check

build: .venv/.made .local/sam/.made ## the artefacts for AWS in .aws-sam/build (ARCH=arm64 or x86_64; SNAPSTART=true)
	$(PYTHON) -m tools.build --arch $(ARCH) $(if $(filter true,$(SNAPSTART)),--snap-start)

deploy: build ## build, then deploy to AWS; asks for what samconfig.toml does not say
	$(SAM) deploy --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND $(if $(wildcard samconfig.toml),,--guided)

token: .venv/.made ## an access token (OWNER=ada, ADMIN=1, SCOPES="customers:read"; STACK=name for a deployed stack)
	@$(PYTHON) -m tools.access_token $(if $(STACK),--stack '$(STACK)') --owner '$(OWNER)' $(if $(ADMIN),--admin) $(if $(SCOPES),--scopes '$(SCOPES)')

put-events: .venv/.made ## events to the bus (FILES="events/CallUpserted.json" CUSTOMER=<id>, FORCE=1; STACK=name for a deployed stack)
	@$(PYTHON) -m tools.put_events $(if $(STACK),--stack '$(STACK)') $(if $(CUSTOMER),--customer '$(CUSTOMER)') $(if $(FORCE),--force) $(FILES)

api-key: .venv/.made ## manage API keys (ARGS="create --owner ada", list, rotate, revoke; STACK=name for a deployed stack)
	@$(PYTHON) -m tools.api_key $(if $(STACK),--stack '$(STACK)') $(ARGS)

table: .venv/.made ## the table in a DynamoDB engine on this machine, for sam local invoke (ENDPOINT=http://127.0.0.1:8000)
	@$(PYTHON) -m tools.table --endpoint '$(ENDPOINT)'

PINS := $(UV) pip compile -q --universal --no-header --python-version $(PYTHON_VERSION) $(if $(UPGRADE),--upgrade)
pins: $(UV) ## resolve the pinned requirements from pyproject.toml again (UPGRADE=1: to the newest)
	$(PINS) pyproject.toml -o layers/shared/requirements.txt
	$(PINS) pyproject.toml --extra cli --group dev -c layers/shared/requirements.txt -o requirements/dev.txt
	$(PINS) --group sam -o requirements/sam.txt
	$(PINS) --group ministack -o requirements/ministack.txt
	$(PINS) pyproject.toml --extra cli --group bench -c layers/shared/requirements.txt -c requirements/dev.txt -o requirements/bench.txt

clean: ## remove what was built or downloaded here, and the local cloud's data
	rm -rf .aws-sam .local .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
	rm -rf layers/shared/customers.egg-info

# The environments. Each is made again when its pins change.

.venv/.made: requirements/dev.txt pyproject.toml .local/.python
	@echo "Making .venv: what the project and its tests need" >&2
	@$(UV) venv -q --allow-existing --python $(PYTHON_VERSION) .venv
	@$(UV) pip install -q --exact --python .venv -r requirements/dev.txt -e .
	@touch $@

.local/bench/.made: requirements/bench.txt pyproject.toml .local/.python
	@echo "Making .local/bench: the project, and what it is compared with" >&2
	@$(UV) venv -q --allow-existing --python $(PYTHON_VERSION) .local/bench
	@$(UV) pip install -q --exact --python .local/bench -r $< -e .
	@touch $@

.local/%/.made: requirements/%.txt .local/.python
	@echo "Making .local/$*" >&2
	@$(UV) venv -q --allow-existing --python $(PYTHON_VERSION) .local/$*
	@$(UV) pip sync -q --python .local/$* $<
	@touch $@

.local/.python: | $(UV)
	@mkdir -p .local
	@$(UV) python find -q $(PYTHON_VERSION) >/dev/null || $(UV) python install -q $(PYTHON_VERSION) || { \
		echo "Python $(PYTHON_VERSION) is needed, the version that Lambda runs, and uv could neither find nor download one." >&2; \
		echo "Install it (your package manager, pyenv install $(PYTHON_VERSION), or python.org) and run make again." >&2; \
		exit 1; }
	@touch $@

.local/uv/bin/uv:
	@$(if $(ANY_PYTHON),true,echo "Python $(PYTHON_VERSION) is needed: install it, or uv, and run make again." >&2; exit 1)
	@echo "Making .local/uv" >&2
	@$(ANY_PYTHON) -m venv .local/uv || { \
		echo "$(ANY_PYTHON) cannot make a virtual environment: install its venv module, or uv, and run make again." >&2; exit 1; }
	@.local/uv/bin/python -m pip install -q --disable-pip-version-check uv==$(UV_VERSION)
