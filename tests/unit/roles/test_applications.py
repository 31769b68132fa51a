"""The applications' inventory files have only variables that roles know, and the example is complete and documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.action.fleet_check_inventory import specifications

ROOT = Path(__file__).resolve().parents[3]
APPLICATIONS = sorted((ROOT / "inventories/applications").glob("*.yml"))
EXAMPLE = ROOT / "tests/applications/guestbook"


def settings(path: Path) -> dict[str, Any]:
    """The variables of an application's file."""
    values: dict[str, Any] = yaml.safe_load(path.read_text())
    return values


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_every_variable_is_known_to_a_role(path: Path) -> None:
    known = {name for options in specifications(ROOT / "roles").values() for name in options}
    shared = set(settings(ROOT / "inventories/shared/fleet.yml"))
    names = {
        name
        for name, value in settings(path).items()
        if f"{{{{ {name} " not in path.read_text() and f"({name} " not in path.read_text()
    }
    assert names <= known | shared


def test_role_defaults_name_no_application() -> None:
    for role in ("app", "celery", "nginx", "prometheus"):
        text = (ROOT / f"roles/{role}/defaults/main.yml").read_text()
        assert [
            word
            for word in ("news", "app:", "app.worker", "app/static", "flask")
            if re.search(rf"[ /\"]{re.escape(word)}", text)
        ] == []


def test_the_example_does_not_import_the_news_application() -> None:
    for path in EXAMPLE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not [name for name in names if name.split(".")[0] == "app"], path


def test_the_documentation_shows_the_deployed_example() -> None:
    block = (ROOT / "inventories/applications/guestbook.yml").read_text().split("\n", 2)[2].strip()
    assert f"```yaml\n{block}\n```" in (ROOT / "docs/your-application.md").read_text()
