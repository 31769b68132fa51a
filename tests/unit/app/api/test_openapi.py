"""The OpenAPI document, its page, and whether the API complies with it."""

import contextvars
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from app.api.docs import code, operations
from app.database.models import User
from app.extensions import db
from app.news import articles
from tests.support.live.openapi import conform, from_wsgi
from tests.unit.app.conftest import body, key_of

METHODS = {"get", "post", "put", "patch", "delete"}
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
    assert {"201", "401", "403", "422"} <= document["paths"]["/api/v1/articles"]["post"]["responses"].keys()
    assert list(document["components"]["responses"]["UNPROCESSABLE_ENTITY"]["content"]) == ["application/problem+json"]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"


def test_every_response_is_documented_and_none_is_a_server_error(app: Flask, user: User) -> None:
    seen = call_all_operations(app, key_of(user))
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


def test_the_page_shows_all_operations_parameters_responses_and_headers(client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    page = client.get("/api/v1/docs").text
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in page
        for method in METHODS & methods.keys():
            assert methods[method]["summary"].rstrip(".") in page.replace("&#39;", "'")
    for operation in operations(document, "http://localhost/"):
        for field in operation["inputs"]:
            assert f"<code>{field['name']}</code>" in page
        assert {response["status"] for response in operation["responses"]} >= {"429", "503"}
    for header in document["components"]["headers"]:
        assert f'id="header-{header}"' in page


def test_the_page_complies_with_the_content_security_policy(client: FlaskClient) -> None:
    class Elements(HTMLParser):
        def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
            assert tag not in {"script", "style"}
            assert not {name for name, _ in attributes if name == "style" or name.startswith("on")}
            assert all(
                (value or "").startswith("/")
                for name, value in attributes
                if name == "src" or (tag == "link" and name == "href")
            )

    response = client.get("/api/v1/docs")
    assert response.content_type == "text/html; charset=utf-8"
    Elements().feed(response.text)


def test_every_page_links_to_the_api_docs(client: FlaskClient) -> None:
    assert 'href="/api/v1/docs"' in client.get("/").text


def test_curl_commands_contain_the_requested_host_and_a_key_if_needed(client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    commands = {operation["id"]: operation["curl"] for operation in operations(document, "https://news.example/")}
    assert any(command == "curl https://news.example/api/v1/articles/17" for command in commands.values())
    assert sum("Authorization: Bearer KEY" in command for command in commands.values()) == 4


def test_backticks_become_code_and_html_is_escaped() -> None:
    assert code("a `b<c` <d>") == "a <code>b&lt;c</code> &lt;d&gt;"
