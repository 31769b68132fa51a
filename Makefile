# Everything a user types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export FLEET ?= $(INVENTORY)
export INVENTORY ?= sandbox
export ENGINE ?= podman
export PATH := $(CURDIR)/.venv/bin:$(PATH)
python := .venv/bin/python
fleet := $(python) -m tools.fleet

help: ## List what can be made
	@echo "Flaskfleet: a highly available home for a Flask application on your own VMs"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  FLEET=name       another fleet beside the first, with its own subnet (default: sandbox)"
	@echo "  INVENTORY=single one host in every group instead of ten hosts"
	@echo "  SUBNET=CIDR      a new fleet's network, when the default is taken"
	@echo "  ENGINE=docker    another container engine than podman"

up: setup ## Raise the fleet: hosts, every tier, the application; safe to repeat
	@$(fleet) up

down: ## Remove the fleet and every trace of it on this machine
	@if [ -x $(python) ]; then $(fleet) down; else echo "nothing to remove: this clone has no Python environment"; fi

status: ## Show who is primary, what lags, and what redundancy is missing (JSON=1 for programs)
	@$(fleet) status $(if $(JSON),--json)

ssh: ## Log in to a host: make ssh HOST=db1
	@$(fleet) ssh "$(HOST)"

secret: ## Print one secret: make secret NAME=grafana_admin_password
	@$(fleet) secret "$(NAME)"

mail: setup-python ## Show the letters that the fleet sends, until Ctrl-C
	@$(python) -m tools.fleet.mail_sink

setup: ## Install what this machine lacks (distribution packages, .venv)
	@bin/setup

dev: setup-python ## Run the application alone on this machine, no server needed
	@APP_ENV=development .venv/bin/flask --app app db upgrade
	@APP_ENV=development .venv/bin/flask --app app demo load --if-empty --articles 200
	APP_ENV=development .venv/bin/flask --app app run --debug

test: setup-tests ## Every check: lint, unit tests, then the scenarios on fleets of their own
	@$(python) -m tools.checks all

lint: setup-python ## ruff, mypy, yamllint, ansible-lint, terraform fmt and validate
	@$(python) -m tools.checks lint

unit: setup-python ## Unit tests, terraform test
	@$(python) -m tools.checks unit

scenarios: setup-tests ## molecule test of every scenario (S=default for one)
	@$(python) -m tools.checks scenarios $(S)

setup-python:
	@bin/setup --python-only

setup-tests:
	@bin/setup --tests

lock: ## Compile requirements/*.txt from pyproject.toml
	@tools/lock.sh

docs: setup-python ## Regenerate the roles' READMEs and the dashboards from their sources
	@$(python) -m tools.docs.role_readme
	@$(python) -m tools.docs.dashboards

.PHONY: help up down status ssh secret mail setup setup-python setup-tests dev test lint unit scenarios lock docs
