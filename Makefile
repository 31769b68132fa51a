# Everything a user types. `make help` lists it. If FLEET is not given, the fleet has the name of INVENTORY's folder.
SHELL := /bin/bash
.DEFAULT_GOAL := help
export INVENTORY ?= sandbox
export ENGINE ?= podman
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Container images often set it. Then each start of Ansible compiles all of its modules again, which doubles its time.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.cache/python
python := .venv/bin/python
fleet := $(python) -m tools.fleet
checks := $(python) -m tools.checks

help: ## List the commands
	@echo "Flaskfleet: a highly available home for a Flask application on your own VMs"
	@awk '/^##@ / {printf "\n%s\n", substr($$0, 5)} \
		/^[a-z-]+:.*## / {split($$0, part, ":.*## "); printf "  make %-13s %s\n", part[1], part[2]}' $(MAKEFILE_LIST)
	@echo
	@echo "Options"
	@echo "  FLEET=name         another fleet in addition to the first, with its own subnet (default: sandbox)"
	@echo "  INVENTORY=single   one host in every group instead of ten hosts"
	@echo "  INVENTORY=name     any folder in inventories/, or its path; up, down and mail need one with sandbox.tfvars"
	@echo "  SUBNET=CIDR        a new fleet's network, if the default is taken"
	@echo "  ENGINE=docker      another container engine than podman"

##@ Run a fleet
up: setup ## Create or update the fleet: hosts, every tier, the application (safe to repeat)
	@$(fleet) up

down: ## Remove the fleet and every trace of it on this machine
	@if [ -x $(python) ]; then $(fleet) down; else echo "nothing to remove: this clone has no Python environment"; fi

status: ## Show who is primary, what lags, and what redundancy is missing (JSON=1 for programs)
	@$(fleet) status $(if $(JSON),--json)

ssh: ## Log in to a host: make ssh HOST=db1
	@$(fleet) ssh "$(HOST)"

secret: ## Print one secret: make secret NAME=grafana_admin_password
	@$(fleet) secret get "$(NAME)"

mail: setup-python ## Show the e-mails that the fleet sends, until Ctrl-C
	@$(python) -m tools.fleet.mail_sink

setup: ## Install what this machine lacks to run a fleet (distribution packages, .venv)
	@bin/setup

##@ Operate a fleet: bin/fleet has the same verbs, and ARGS="..." are its arguments
deploy: ## Deploy the application's source
rollback: ## Go back to the last good release
maintenance: ## Show users a page instead of the site, or the site again: make maintenance ARGS=on
releases: ## List the releases and the log of deploys
backup: ## Back up the database now: make backup ARGS="--type full"
backups: ## List the backups, and to which points in time the database can go back
rehearse: ## Prove now that the backups can be restored
restore: ## Show old data beside the database: make restore ARGS="'2026-11-29 03:00:00+00'"
exec: ## Run a command as the application would: make exec ARGS="python --version"
console: ## Open `flask shell` on an application host
run: ## Run a process of the application once: make run ARGS=NAME (without a NAME: list them)
psql: ## Open psql on the primary, as the owner of the schema
redis: ## Open redis-cli on the master: make redis ARGS=cache
env: ## Environment variables of the application: make env ARGS="set NAME=value"
logs: ## Show the logs of all hosts, merged by time: make logs ARGS="-f web"
deploy rollback maintenance releases backup backups rehearse restore logs exec console run psql redis env:
	@$(fleet) $@ $(ARGS)

##@ Change the project
dev: setup-dev ## Run the application alone on this machine, without any server
	@APP_ENV=development .venv/bin/flask --app app db upgrade
	@APP_ENV=development .venv/bin/flask --app app demo load --if-empty --articles 200
	APP_ENV=development .venv/bin/flask --app app run --debug

test: setup-tests ## What every change must pass: lint, unit tests, the core scenarios on their own fleets
	@$(checks) test

test-all: setup-tests ## Everything, for hours: every drill, every deploy test, operations, aws
	@$(checks) test-all

test-changed: setup-tests ## What a change touches: make test-changed BASE=origin/main (LIST=1 only lists the scenarios)
	@$(checks) changed "$(or $(BASE),origin/main)" $(if $(LIST),--list)

lint: setup-dev ## ruff, mypy, yamllint, ansible-lint, terraform fmt and validate
	@$(checks) lint

unit: setup-dev ## Unit tests, terraform test
	@$(checks) unit

scenarios: setup-tests ## Every test of a scenario: make scenarios S=default (default: all scenarios)
	@$(checks) scenarios $(S)

drills: setup-tests ## Failure drills by name: make drills D=primary-killed (default: all drills)
	@$(checks) drills $(D)

lock: setup-dev ## Compile requirements/*.txt from pyproject.toml
	@tools/lock.sh

docs: setup-dev ## Regenerate the roles' READMEs, the dashboards and the list of troubles from their sources
	@$(python) -m tools.docs.role_readme
	@$(python) -m tools.docs.troubles
	@$(python) -m tools.docs.dashboards

setup-python:
	@bin/setup --python-only

setup-dev:
	@bin/setup --dev

setup-tests:
	@bin/setup --tests

.PHONY: help up down status ssh secret mail setup deploy rollback maintenance releases backup backups rehearse restore \
	logs exec console run psql redis env dev test test-all test-changed lint unit scenarios drills lock docs setup-python \
	setup-dev setup-tests
