"""What is checked: the commands of every phase, and which scenarios belong to which tier."""

import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / ".cache" / "reports"

Commands = dict[str, Sequence[str]]

# Runs first and alone: the Terraform checks need its result.
PREPARE: Commands = {
    "terraform init": ["bin/terraform", "-chdir=terraform/sandbox", "init", "-input=false", "-no-color"],
}
LINT: Commands = {
    "ansible-lint (production)": ["ansible-lint", "--offline"],
    "mypy": ["mypy"],
    "ruff": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "yamllint": ["yamllint", "--strict", "."],
    "role READMEs": [sys.executable, "-m", "tools.docs.role_readme", "--check"],
    "dashboards": [sys.executable, "-m", "tools.docs.dashboards", "--check"],
    "terraform fmt": ["bin/terraform", "fmt", "-check", "-recursive", "terraform", "inventories"],
    "terraform validate": ["bin/terraform", "-chdir=terraform/sandbox", "validate", "-no-color"],
    "terraform validate (aws)": [sys.executable, "-m", "tools.terraform.aws", "validate"],
}
TERRAFORM_TESTS: Commands = {
    "terraform test": ["bin/terraform", "-chdir=terraform/sandbox", "test", "-no-color"],
    "terraform test (aws)": [sys.executable, "-m", "tools.terraform.aws", "test"],
}
# Uses every processor by itself, so nothing else runs beside it. Many tests wait for a program or for a time limit, so
# there are more processes than processors. In the usual order, files with few tests come last, although some are slow.
UNIT: Commands = {
    "pytest": [
        "pytest",
        "tests/unit",
        "-q",
        f"--numprocesses={(os.cpu_count() or 1) * 3 // 2}",
        "--dist=loadscope",
        "--no-loadscope-reorder",
        f"--junitxml={REPORTS}/unit.xml",
    ],
}

# Scenarios that run one after another on the fleet of `default` (Molecule's shared state), in this order.
SHARED = ("default", "failover", "operations", "deploy")
# Other people's applications, tests/applications/NAME, each on a fleet of its own.
ORDINARY = ("flat", "src", "factory")
# Each has a fleet of one host, which leaves most of this machine idle, so two of them run at the same time.
ONE_HOST = ("single", "contract", *ORDINARY)
# In `make test`, failover and deploy run only their core tests: see tests/support/tiers.py.
CORE_SCENARIOS = ("default", "failover", "deploy", "single", "contract")
ALL_SCENARIOS = ("default", "failover", "operations", "deploy", "single", "contract", "backups", *ORDINARY, "aws")


@dataclass(frozen=True)
class Group:
    """Scenarios that run on one fleet.

    Args:
        name: The first of them.
        setup: Commands that create the fleet. If one fails, the checks are left out.
        checks: Commands that test it. All of them run, also after one has failed.
        teardown: Commands that remove the fleet, which always run.
    """

    name: str
    setup: Commands
    checks: Commands
    teardown: Commands

    @property
    def small(self) -> bool:
        """Whether its fleet has one host."""
        return self.name in ONE_HOST


def groups(names: Iterable[str]) -> list[Group]:
    """Return one group for all scenarios that share a fleet, and one for each other scenario."""
    wanted = list(dict.fromkeys(names))
    shared = [name for name in SHARED if name in wanted]
    found = [_shared(shared)] if shared else []
    return found + [Group(name, {}, _molecule("test", name), {}) for name in wanted if name not in SHARED]


def _shared(names: Sequence[str]) -> Group:
    """Return the group on the fleet of `default`, which is converged once for all of its scenarios."""
    setup = _molecule("destroy") | _molecule("create") | _molecule("converge")
    checks = _molecule("idempotence") if "default" in names else {}
    for name in names:
        checks |= _molecule("verify", name)
    return Group("default", setup, checks, _molecule("destroy"))


def _molecule(command: str, name: str = "default") -> Commands:
    return {f"molecule {command} {name}": ["molecule", command, f"--scenario-name={name}"]}
