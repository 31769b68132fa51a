"""What `bin/fleet init` finds in the ordinary projects of tests/applications, which scenarios bring up."""

import subprocess
import sys
from typing import Any

import pytest
import yaml

from tools.fleet.context import ROOT
from tools.project.detect import Choices, detect
from tools.project.inventory import application
from tools.project.tree import Tree

FOUND: dict[str, dict[str, Any]] = {
    "factory": {"app_module": "quotes:create_app()", "app_health_path": "/health"},
    "flat": {
        "app_module": "app:app",
        "app_database_driver": "psycopg2",
        "app_migrate_command": "flask --app app:app db upgrade",
        "app_release_command": "flask seed",
        "app_processes": {"worker": {"command": "rq worker letters"}},
        "app_health_path": "/",
        "nginx_static_source": "static",
    },
    "src": {
        "app_module": "gallery:create_app()",
        "app_database_driver": "psycopg",
        "app_celery_app": "gallery.make_celery:celery_app",
        "celery_metrics_port": 0,
        "app_build_command": "npm install && npm run build",
        "app_persistent_dirs": ["uploads"],
        "app_health_path": "/up",
    },
}


@pytest.mark.parametrize("name", FOUND)
def test_an_ordinary_project_is_understood(name: str) -> None:
    text = application(detect(Tree(ROOT / "tests/applications" / name), Choices()))
    variables = yaml.safe_load(text)
    assert {key: variables[key] for key in FOUND[name]} == FOUND[name]
    assert "celery_beat_host" not in variables, "beat runs"
    lint = [sys.executable, "-m", "yamllint", "--strict", "-"]
    result = subprocess.run(lint, input=text, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.stdout == ""
