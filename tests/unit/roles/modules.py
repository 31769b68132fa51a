"""Load a module of a role from its file, and render a role's templates like Ansible does."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from ansible.plugins.filter.core import FilterModule
from ansible.plugins.test.core import TestModule
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from plugins.filter import backups, secret_urls
from plugins.processes import quoted
from tools.fleet.context import ROOT

ROLES = ROOT / "roles"
# The rules of Prometheus.
RULES = sorted((ROLES / "prometheus/files/rules").glob("*.yml"))
PASSWORD = "not-a-secret-of-anybody"
Run = Callable[..., dict[str, Any]]


def load(path: Path, package: str = "") -> ModuleType:
    """Import a file as a module."""
    name = f"{package}{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def render(role: str, template: str, **variables: Any) -> str:
    """Return a role's template as a host gets it."""
    jinja = Environment(
        loader=FileSystemLoader(ROLES / role / "templates"),
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    jinja.filters.update(FilterModule().filters() | backups.FilterModule().filters() | {"unit_word": quoted})
    jinja.filters.update(secret_urls.FilterModule().filters())
    jinja.tests.update(TestModule().tests())
    # Like Ansible: an included file loses its last newline.
    return jinja.get_template(template).render({"ansible_managed": "Written by a test."} | variables) + "\n"


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the content of one of the project's YAML files."""
    content: dict[str, Any] = yaml.safe_load((ROOT / path).read_text())
    return content


def read_list(path: str | Path) -> list[dict[str, Any]]:
    """Return the tasks or the plays in one of the project's YAML files."""
    content: list[dict[str, Any]] = yaml.safe_load((ROOT / path).read_text())
    return content


def port_matrix(app_port: int = 8000) -> list[dict[str, Any]]:
    """Return fleet_ports of inventories/shared/ports.yml as hosts get it."""
    entries: list[dict[str, Any]] = read_yaml("inventories/shared/ports.yml")["fleet_ports"]
    return [entry | ({"port": app_port} if entry["name"] == "app" else {}) for entry in entries]
