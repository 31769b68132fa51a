import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from flask.testing import FlaskClient

from app.database.models import Article
from app.jobs import dead_letters
from tests.unit.app.conftest import Publish, stored
from tools.fleet.context import ROOT

Run = Callable[..., Result]


def test_failed_tasks_are_listed_and_requeued_once(run: Run, publish: Publish) -> None:
    article = publish()
    error = RuntimeError("first line\nsecond line")
    dead_letters.record(dead_letters.write("process_new_article", "one", [article.id], {}, error))
    listed = run("tasks", "failed").output
    assert f"process_new_article({article.id})  RuntimeError: first line\n" in listed
    assert run("tasks", "requeue", "1").output == "1: sent again\n"
    assert stored(Article, article.id).processed_at is not None
    assert "sent again 20" in run("tasks", "failed").output
    again = run("tasks", "requeue", "1", "9").output
    assert again == "1: not found, or already sent again\n9: not found, or already sent again\n"


def test_an_unknown_task_cannot_be_requeued(run: Run) -> None:
    dead_letters.record(dead_letters.write("from_the_future", "one", [], {}, RuntimeError("x")))
    result = run("tasks", "requeue", "1")
    assert (result.exit_code, "has no task" in result.output) == (1, True)


def test_the_cache_can_be_cleared(run: Run, client: FlaskClient) -> None:
    assert [client.get("/api/v1/articles").headers["X-Cache"] for _ in range(2)] == ["miss", "hit"]
    assert run("cache", "clear").exit_code == 0
    assert client.get("/api/v1/articles").headers["X-Cache"] == "miss"


@pytest.mark.parametrize(
    ("environment", "code", "expected"),
    [
        ({"APP_ENV": "testing"}, 0, "the configuration is valid: testing, release development"),
        ({"APP_ENV": "production", "SECRET_KEY": "short"}, 1, "SECRET_KEY must be a secret of at least 32 characters"),
    ],
)
def test_a_configuration_can_be_checked(environment: dict[str, str], code: int, expected: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "flask", "--app", "app", "config", "check"]
    servers = {"SECRET_KEY", "DATABASE_URL", "CACHE_URL", "STORE_URL"}
    inherited = {name: value for name, value in os.environ.items() if name not in servers}
    inherited["DATABASE_URL"] = f"sqlite:///{tmp_path / 'x'}"
    result = subprocess.run(
        command, env=inherited | environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == code
    assert expected in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
