"""Fixtures of the desk."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts import users
from app.extensions import db
from tests.unit.app.conftest import PASSWORD, csrf_token, log_in


def send(client: FlaskClient, path: str, page: str | None = None, **fields: Any) -> TestResponse:
    """Submit the form of a page as a browser does."""
    token = csrf_token(client.get(page or path))
    return client.post(path, data={"csrf_token": token, **fields}, content_type="multipart/form-data")


@pytest.fixture
def stranger(app: Flask) -> FlaskClient:
    """A client of another logged-in author."""
    db.write(lambda session: users.create_user(session, email="bob@news.example", password=PASSWORD))
    client = app.test_client()
    log_in(client, "bob@news.example")
    return client
