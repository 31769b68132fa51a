"""Fixtures: an administrator and the audit log."""

from typing import Any, cast

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts import users
from app.database.engine import Database
from app.database.models import User
from tests.unit.app.conftest import PASSWORD, csrf_token, log_in


@pytest.fixture
def root(app: Flask) -> User:
    """An administrator."""
    database: Database = app.extensions["database"]
    return database.write(
        lambda session: users.create_user(session, email="root@news.example", password=PASSWORD, is_admin=True)
    )


@pytest.fixture
def administrator(app: Flask, root: User) -> FlaskClient:
    """A client of a logged-in administrator."""
    client = app.test_client()
    log_in(client, root.email)
    return client


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The entries of the audit log."""
    seen = structlog.testing.LogCapture()
    monkeypatch.setattr("app.admin.blueprint.log", structlog.wrap_logger(None, [seen]))
    return cast("list[dict[str, Any]]", seen.entries)


def press(client: FlaskClient, path: str) -> TestResponse:
    """Submit a button as a browser does. All pages of a session have the same CSRF token."""
    return client.post(path, data={"csrf_token": csrf_token(client.get("/account"))})
