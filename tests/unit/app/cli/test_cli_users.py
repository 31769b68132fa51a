from __future__ import annotations

import pytest
from flask import Flask

from tests.unit.app.conftest import log_in


def test_the_command_line_creates_users_and_keys(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run = app.test_cli_runner().invoke
    monkeypatch.setenv("NEW_PASSWORD", "a good password")
    arguments = ["users", "create", "Grace@News.example", "--admin", "--password-env", "NEW_PASSWORD"]
    assert run(args=arguments).output == "created administrator grace@news.example\n"
    assert run(args=arguments).exit_code == 1
    assert "nothing to do" in run(args=[*arguments, "--if-missing"]).output
    key = run(args=["keys", "create", "grace@news.example", "--name", "tests", "--scope", "articles:write"]).output
    headers = {"Authorization": f"Bearer {key.strip()}"}
    assert (
        app.test_client().post("/api/v1/articles", json={"title": "x", "content": "y"}, headers=headers).status_code
        == 201
    )
    assert log_in(app.test_client(), "grace@news.example", "a good password").status_code == 302


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["users", "create", "nonsense", "--password-env", "NEW_PASSWORD"], "is not an e-mail address"),
        (["users", "create", "a@b.example", "--password-env", "UNSET"], "UNSET is not set"),
        (["users", "create", "a@b.example", "--password-env", "SHORT"], "8 to 1024 characters"),
        (["keys", "create", "nobody@b.example", "--name", "x", "--scope", "articles:write"], "there is no user"),
    ],
)
def test_the_command_line_reports_errors(
    app: Flask, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.setenv("NEW_PASSWORD", "a good password")
    monkeypatch.setenv("SHORT", "short")
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 1
    assert reason in result.output
