"""Each variable that users set is documented in a role, each documented one is used, and pages name no other ones."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
import yaml

from tests.unit.roles.modules import read_yaml
from tools.fleet.context import ROOT

CODE = ("app", "bin", "inventories", "playbooks", "plugins", "roles", "terraform", "tools")
SUFFIXES = (".py", ".yml", ".j2", ".tf", ".tfvars", ".sh", "")
PAGES = [*(ROOT / "docs").glob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]


@cache
def documented() -> dict[str, set[str]]:
    """Role → the variables in its argument_specs, of all entry points."""
    found: dict[str, set[str]] = {}
    for path in ROOT.glob("roles/*/meta/argument_specs.yml"):
        entries = yaml.safe_load(path.read_text())["argument_specs"].values()
        found[path.parts[-3]] = {name for entry in entries for name in entry.get("options", {})}
    return found


@cache
def words() -> set[str]:
    """The words of all code, without the documentation of variables and without the names of their defaults."""
    found: set[str] = set()
    for path in (path for folder in CODE for path in (ROOT / folder).rglob("*")):
        if path.suffix not in SUFFIXES or path.name in ("argument_specs.yml", "vault.yml") or not path.is_file():
            continue
        text = path.read_text()
        found |= {*re.findall(r"\w+", re.sub(r"(?m)^\w+:", "", text) if path.parent.name == "defaults" else text)}
    return found


def test_each_variable_of_the_shared_settings_is_documented_in_a_role() -> None:
    public = {name for name in read_yaml("inventories/shared/fleet.yml") if not name.startswith("fleet_")}
    assert public - set().union(*documented().values()) == set()


@pytest.mark.parametrize("role", sorted(documented()))
def test_each_documented_variable_is_used(role: str) -> None:
    assert documented()[role] - words() == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_only_variables_that_exist(page: Path) -> None:
    named = {
        word.removesuffix("_total")  # of a metric
        for span in re.findall(r"`([^`\n]+)`", page.read_text())
        for word in re.findall(r"\b[a-z][a-z0-9]*_\w+", span)
        if word.partition("_")[0] in {*documented(), "fleet"}
    }
    assert named - words() - set().union(*documented().values()) == set()
