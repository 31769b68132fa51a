"""Pages and lists through the cache, as readers get them."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from app.extensions import cache
from app.redis.cache import Cache
from tests.unit.app.conftest import Author, body


def outcome(client: FlaskClient, path: str) -> str:
    return client.get(path).headers["X-Cache"]


def test_page_two_is_not_page_one(client: FlaskClient, author: Author) -> None:
    for number in range(3):
        author.post(title=str(number))
    first = body(client.get("/api/v1/articles?limit=1"))
    second = body(client.get("/api/v1/articles", query_string={"limit": 1, "after": first["next"]}))
    assert [first["articles"][0]["title"], second["articles"][0]["title"]] == ["2", "1"]


def test_junk_parameters_make_no_new_entries(client: FlaskClient) -> None:
    assert outcome(client, "/?utm_source=junk") == "miss"
    assert outcome(client, "/?utm_source=other") == "hit"
    assert outcome(client, "/api/v1/articles") == "hit"
    assert outcome(client, "/api/v1/articles?limit=020") == "hit"
    assert client.get("/api/v1/articles?utm_source=junk").status_code == 422


def test_a_write_is_seen_by_the_next_reader_of_every_page(client: FlaskClient, author: Author) -> None:
    for path in ("/api/v1/articles", "/api/v1/articles?limit=5", "/"):
        assert "Breaking" not in client.get(path).text
    author.post(title="Breaking")
    for path in ("/api/v1/articles", "/api/v1/articles?limit=5", "/"):
        assert "Breaking" in client.get(path).text


def test_a_list_from_the_cache_asks_no_database(client: FlaskClient, app: Flask) -> None:
    client.get("/api/v1/articles")
    queries: list[float] = []
    app.extensions["database"].on_query.append(queries.append)
    assert outcome(client, "/api/v1/articles") == "hit"
    assert queries == []


def test_the_length_of_a_page_does_not_decide_the_number_of_queries(
    client: FlaskClient, app: Flask, author: Author
) -> None:
    for number in range(10):
        author.post(title=str(number))
    counts = []
    for limit in (1, 10):
        queries: list[float] = []
        app.extensions["database"].on_query[:] = [queries.append]
        client.get(f"/api/v1/articles?limit={limit}")
        counts.append(len(queries))
    assert counts == [1, 1]


def test_another_process_sees_the_write_too(client: FlaskClient, author: Author) -> None:
    """The generation lives in the shared backend, not in the process that bumps it."""
    client.get("/api/v1/articles")
    Cache(cache.backend, recent_seconds=1).bump("lists")
    assert outcome(client, "/api/v1/articles") == "miss"
    assert author.client.get("/api/v1/articles").headers["X-Cache"] == "hit"
