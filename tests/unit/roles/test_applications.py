"""The applications' inventory files have only variables that roles know, and the example is complete and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import Template

from app.mail.relay import MailUrl
from plugins.values import specifications
from tests.unit.roles.modules import read_yaml
from tools.fleet.context import ROOT

APPLICATIONS = sorted((ROOT / "inventories/applications").glob("*.yml"))
EXAMPLE = ROOT / "tests/applications/guestbook"
ORDINARY = [ROOT / "tests/applications" / name for name in ("factory", "flat", "src")]


@pytest.mark.parametrize("path", APPLICATIONS, ids=lambda path: path.stem)
def test_every_variable_is_known_to_a_role(path: Path) -> None:
    known = {name for options in specifications(ROOT / "roles").values() for name in options}
    text = path.read_text()
    names = {name for name in read_yaml(path) if f"{{{{ {name} " not in text and f"({name} " not in text}
    assert names <= known


def test_the_documented_mail_url_takes_every_password() -> None:
    password = "".join(map(chr, range(33, 127))) + " ü"
    recipe = re.search(r'^# app_mail_url: "(.+)"$', (ROOT / "inventories/shared/fleet.yml").read_text(), re.MULTILINE)
    assert recipe
    assert MailUrl.parse(Template(recipe[1]).render(vault_app_mail_password=password)).password == password


@pytest.mark.parametrize("role", ["app", "celery", "nginx", "prometheus"])
def test_role_defaults_name_no_application(role: str) -> None:
    text = (ROOT / f"roles/{role}/defaults/main.yml").read_text()
    assert re.findall(r"[ /\"](?:news|app:|app\.worker|app/static|flask)", text) == []


def test_the_example_does_not_import_the_news_application() -> None:
    for path in EXAMPLE.rglob("*.py"):
        assert not re.search(r"^\s*(?:import|from) app\b", path.read_text(), re.MULTILINE), path


def test_the_documentation_shows_the_deployed_example() -> None:
    block = (ROOT / "inventories/applications/guestbook.yml").read_text().split("\n", 2)[2].strip()
    assert f"```yaml\n{block}\n```" in (ROOT / "docs/your-application.md").read_text()


@pytest.mark.parametrize("project", ORDINARY, ids=lambda path: path.name)
def test_an_ordinary_project_knows_nothing_of_the_fleet_or_of_a_registry(project: Path) -> None:
    for path in (path for path in project.rglob("*") if path.suffix != ".pyc" and path.is_file()):
        text = path.read_text()
        assert not re.search(r"sentinel|fleet|patroni|STORE_URL", text, re.IGNORECASE), path
        hosts = set(re.findall(r"https?://([^/\s\"]+)", text)) if path.suffix == ".lock" else set()
        assert hosts <= {"packages.invalid"}, f"{path}: uv export needs no address, so a lock file names no registry"
