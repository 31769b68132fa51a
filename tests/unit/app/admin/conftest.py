"""Fixtures: an administrator and the audit log."""

from typing import Any, cast

import pytest
import structlog
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.database.models import User
from tests.unit.app.conftest import add_user, logged_in, send


@pytest.fixture
def root(app: Flask) -> User:
    """An administrator."""
    return add_user(app, "root@news.example", is_admin=True)


@pytest.fixture
def administrator(app: Flask, root: User) -> FlaskClient:
    """A client of a logged-in administrator."""
    return logged_in(app, root.email)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The entries of the audit log."""
    seen = structlog.testing.LogCapture()
    monkeypatch.setattr("app.admin.blueprint.log", structlog.wrap_logger(None, [seen]))
    return cast("list[dict[str, Any]]", seen.entries)


def press(client: FlaskClient, path: str) -> TestResponse:
    """Submit a button as a browser does. All pages of a session have the same CSRF token."""
    return send(client, path, page="/account")
