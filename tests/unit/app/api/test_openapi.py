import contextvars
from collections import Counter
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from app.accounts import users
from app.database.models import User
from app.extensions import db
from app.news import articles
from tests.support.live.openapi import conform, from_wsgi
from tests.unit.app.conftest import body

OPERATIONS = {
    "GET /api/v1/articles",
    "POST /api/v1/articles",
    "GET /api/v1/articles/popular",
    "GET /api/v1/articles/{article_id}",
    "PATCH /api/v1/articles/{article_id}",
    "DELETE /api/v1/articles/{article_id}",
    "GET /api/v1/me",
}


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"API_RATE_LIMIT": "100000 per minute"}


def call_all_operations(app: Flask, headers: dict[str, str]) -> Counter[tuple[str, int]]:
    # A new context, as in a server: the test has an application context.
    return contextvars.Context().run(lambda: conform(from_wsgi("/api/v1/openapi.json", app), headers=headers))


def test_the_document_is_valid(client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    assert document["openapi"] == "3.1.0"
    OPENAPI_31_VALIDATOR.validate(document)


def test_every_response_is_documented_and_none_is_a_server_error(app: Flask, user: User) -> None:
    _, key = db.write(lambda session: users.create_key(session, user=user, name="fuzz", scopes=list(users.SCOPES)))
    seen = call_all_operations(app, {"Authorization": f"Bearer {key}"})
    assert {label for label, _ in seen} == OPERATIONS
    assert seen["POST /api/v1/articles", 201], seen
    assert seen["POST /api/v1/articles", 422], seen
    assert seen["GET /api/v1/articles", 200], seen


@pytest.mark.usefixtures("user")
def test_requests_without_a_key_change_nothing(app: Flask) -> None:
    seen = call_all_operations(app, {})
    assert {label for label, _ in seen} == OPERATIONS
    assert db.read(articles.count) == 0
    assert seen["GET /api/v1/me", 401]
    assert seen["GET /api/v1/me", 200] == 0
