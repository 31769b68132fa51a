import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.database.models import Article
from app.extensions import db
from app.jobs import dead_letters


@pytest.fixture
def run(app: Flask) -> Callable[..., Any]:
    """Run a command of `flask --app app`."""
    runner = app.test_cli_runner()
    return lambda *arguments: runner.invoke(args=list(arguments))


def test_failed_tasks_are_listed_and_requeued_once(run: Callable[..., Any], publish: Callable[..., Article]) -> None:
    article = publish()
    dead_letter = dead_letters.write(
        "process_new_article", "one", [article.id], {}, RuntimeError("first line\nsecond line")
    )
    dead_letters.record(dead_letter)
    listed = run("tasks", "failed").output
    assert f"process_new_article({article.id})  RuntimeError: first line\n" in listed
    assert run("tasks", "requeue", "1").output == "1: sent again\n"
    assert db.read(lambda session: session.get_one(Article, article.id)).processed_at is not None
    assert "sent again 20" in run("tasks", "failed").output
    assert run("tasks", "requeue", "1", "9").output == "".join(
        f"{n}: not found, or already sent again\n" for n in (1, 9)
    )


def test_an_unknown_task_cannot_be_requeued(run: Callable[..., Any]) -> None:
    dead_letters.record(dead_letters.write("from_the_future", "one", [], {}, RuntimeError("x")))
    result = run("tasks", "requeue", "1")
    assert (result.exit_code, "has no task" in result.output) == (1, True)


def test_the_cache_can_be_cleared(run: Callable[..., Any], client: FlaskClient) -> None:
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
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in {"SECRET_KEY", "DATABASE_URL", "CACHE_URL", "STORE_URL"}
    }
    found = {"DATABASE_URL": f"sqlite:///{tmp_path / 'x'}"} | environment
    result = subprocess.run(
        command,
        env=inherited | found,
        cwd=Path(__file__).parents[4],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == code
    assert expected in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
