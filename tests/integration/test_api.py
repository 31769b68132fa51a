"""The API on a real Postgres, where it behaves differently from SQLite."""

import contextvars
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from app.accounts import users
from app.extensions import db
from app.news import articles
from tests.support.live.openapi import conform, from_wsgi

SEARCHES = [
    "storms",
    '"at noon" harbour',
    "calm or storm",
    "harbour -calm",
    "the",
    "'",
    "\\",
    "& | ! ( ) <-> :*",
    '"',
    "%",
    "-",
    "🦢",
]


@pytest.fixture(scope="module")
def headers(app: Flask) -> dict[str, str]:
    """An API key with all scopes."""
    assert app
    user = db.write(
        lambda session: users.create_user(session, email="ada@news.example", password="correct horse battery")
    )
    _, key = db.write(lambda session: users.create_key(session, user=user, name="tests", scopes=list(users.SCOPES)))
    return {"Authorization": f"Bearer {key}"}


def call(app: Flask, method: str, path: str, **request: Any) -> TestResponse:
    """Send a request in a new context, as a server does."""
    return contextvars.Context().run(app.test_client(use_cookies=False).open, path, method=method, **request)


def test_search_supports_words_phrases_or_and_exclusion(app: Flask, headers: dict[str, str]) -> None:
    for title in ("A storm at noon", "Calm at the harbour", "Storms in the harbour at noon"):
        call(app, "POST", "/api/v1/articles", json={"title": title, "content": "Nobody was hurt."}, headers=headers)
    found = {}
    for query in SEARCHES:
        response = call(app, "GET", "/api/v1/articles", query_string={"q": query})
        assert response.status_code == 200, (query, response.text)
        found[query] = {article["title"] for article in response.json["articles"]}  # type: ignore[index]
    assert found["storms"] == {"A storm at noon", "Storms in the harbour at noon"}
    assert found['"at noon" harbour'] == {"Storms in the harbour at noon"}
    assert len(found["calm or storm"]) == 3
    assert found["harbour -calm"] == {"Storms in the harbour at noon"}
    assert found["the"] == set()


def test_concurrent_requests_with_one_idempotency_key_publish_once(app: Flask, headers: dict[str, str]) -> None:
    before = db.read(articles.count)
    ready = threading.Barrier(8)

    def send(_: int) -> TestResponse:
        ready.wait()
        article = {"title": "Once", "content": "Some content."}
        return call(app, "POST", "/api/v1/articles", json=article, headers=headers | {"Idempotency-Key": "once"})

    with ThreadPoolExecutor(8) as pool:
        responses = list(pool.map(send, range(8)))
    assert [response.status_code for response in responses] == [201] * 8
    assert len({response.data for response in responses}) == 1
    assert sum("Idempotency-Replayed" in response.headers for response in responses) == 7
    assert db.read(articles.count) == before + 1


def test_every_response_is_documented_and_none_is_a_server_error(app: Flask, headers: dict[str, str]) -> None:
    def run() -> Counter[tuple[str, int]]:
        return conform(from_wsgi("/api/v1/openapi.json", app), headers=headers, examples=60)

    seen = contextvars.Context().run(run)
    assert seen["GET /api/v1/articles", 200], seen
    assert seen["POST /api/v1/articles", 201], seen
