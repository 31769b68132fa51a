"""Invalid input gets a 4xx problem that names the error, and nothing is stored."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from app.database.models import Article
from app.extensions import db
from app.news import articles
from app.news.listing import Selection
from app.web.paging import Position
from tests.unit.app.conftest import Author, body

GOOD = {"title": "A title", "content": "Some content."}
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = Position(MOMENT, 1).token

# Invalid queries of the list, and the field that the error names.
QUERIES = [
    ("limit=0", "limit"),
    ("limit=101", "limit"),
    ("limit=-1", "limit"),
    ("limit=ten", "limit"),
    ("limit=9e99", "limit"),
    ("limit=1_0", "limit"),
    ("limit=%D9%A3", "limit"),
    ("limit=" + "9" * 5000, "limit"),
    ("page=-1", "page"),
    ("utm_source=x", "utm_source"),
    ("%00=x", "\0"),
    ("author=0", "author"),
    ("author=-5", "author"),
    ("author=9e99", "author"),
    ("author=99999999999999999999", "author"),
    ("author=%00", "author"),
    ("keyword=", "keyword"),
    ("keyword=a%00b", "keyword"),
    ("keyword=" + "x" * 81, "keyword"),
    ("q=", "q"),
    ("q=%20", "q"),
    ("q=a%00b", "q"),
    ("q=" + "x" * 201, "q"),
    ("since=yesterday", "since"),
    ("since=2026-05-01", "since"),
    ("since=2026-05-01T00:00:00", "since"),
    ("since=2026-05-01T00:00:00+02:00", "since"),
    ("since=2026-13-01T00:00:00Z", "since"),
    ("since=0001-01-01T00:00:00%2B14:00", "since"),
    ("until=9999-12-31T23:59:59-14:00", "until"),
    ("until=9e99", "until"),
    ("after=", "after"),
    ("after=garbage", "after"),
    ("after=%00", "after"),
    ("after=%C3%A9", "after"),
    (f"after={TOKEN}0000", "after"),
    # Tokens of other lists.
    (f"after={TOKEN}&author=1", "after"),
    (f"after={TOKEN}&q=storm", "after"),
    (f"after={Position(MOMENT, 1, Selection(author=1).digest).token}", "after"),
    (f"after={Position(MOMENT, 1, Selection(author=1).digest).token}&author=2", "after"),
]

# Invalid articles, and the field that the error names.
ARTICLES: list[tuple[Any, str]] = [
    ({"title": ""}, "title"),
    ({"title": " \t "}, "title"),
    ({"title": "x" * 201}, "title"),
    ({"title": "x" * 10_000}, "title"),
    ({"title": 5}, "title"),
    ({"title": True}, "title"),
    ({"title": None}, "title"),
    ({"title": ["A title"]}, "title"),
    ({"title": {"a": {"b": "c"}}}, "title"),
    ({"title": "nul\0"}, "title"),
    ({"title": "\ud800"}, "title"),
    ({"title": "two\nlines"}, "title"),
    ({"title": "abc\u202egnp.exe"}, "title"),
    ({"title": "a\u2066b"}, "title"),
    ({"content": "x" * 100_001}, "content"),
    ({"content": None}, "content"),
    ({"content": "a\0b"}, "content"),
    ({"content": 10**4000}, "content"),
    ({"views": 10}, "views"),
    ({"id": 1}, "id"),
    ({"version": 7}, "version"),
    ({"\u202e": 1}, "\u202e"),
]

# Bodies that are not articles, and the status of the answer.
BODIES = [
    (b"{", "application/json", 400),
    (b"", "application/json", 422),
    (b"[]", "application/json", 422),
    (b"null", "application/json", 422),
    (b'"title"', "application/json", 422),
    (b"5", "application/json", 422),
    (b"\xff\xfe", "application/json", 400),
    (b"[" * 100_000, "application/json", 400),
    (b'{"a":' * 100_000, "application/json", 400),
    (b'{"title": ' + b"9" * 10_000 + b"}", "application/json", 400),
    (b"x" * 10_000_000, "application/json", 413),
    (json.dumps(GOOD | {"content": "x" * 10_000_000}).encode(), "application/json", 413),
    (json.dumps(GOOD).encode(), "text/plain", 415),
    (json.dumps(GOOD).encode(), "", 415),
    (b"title=x&content=y", "application/x-www-form-urlencoded", 415),
    (b"", "multipart/form-data; boundary=x", 415),
]


def fields(answer: Any) -> list[str]:
    return sorted({error["field"] for error in body(answer)["errors"]})


@pytest.mark.parametrize(("query", "field"), QUERIES, ids=[query[:40] for query, _ in QUERIES])
def test_an_invalid_parameter_is_named_in_the_error(client: FlaskClient, query: str, field: str) -> None:
    answer = client.get(f"/api/v1/articles?{query}")
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert fields(answer) == [field]


@pytest.mark.parametrize("path", ["/api/v1/articles/1", "/api/v1/me"])
def test_an_unknown_parameter_is_named_in_the_error(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?page=-1")
    assert (answer.status_code, fields(answer)) == (422, ["page"])


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("article", "field"), ARTICLES, ids=[ascii(article)[:40] for article, _ in ARTICLES])
def test_an_invalid_field_is_named_in_the_error(
    author: Author, publish: Callable[..., Article], method: str, article: dict[str, Any], field: str
) -> None:
    path = "/api/v1/articles" if method == "POST" else f"/api/v1/articles/{publish().id}"
    answer = author.client.open(
        path, method=method, data=json.dumps(GOOD | article), headers=author.headers, content_type="application/json"
    )
    assert (answer.status_code, fields(answer)) == (422, [field])
    assert answer.content_type == "application/problem+json"
    assert db.read(articles.count) == (method == "PATCH")
    assert db.read(lambda session: session.scalars(select(Article.id).where(Article.version > 1)).all()) == []


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(
    ("content", "kind", "status"), BODIES, ids=[f"{content[:20]!r} {kind}" for content, kind, _ in BODIES]
)
def test_an_invalid_body_is_refused(
    author: Author, publish: Callable[..., Article], method: str, content: bytes, kind: str, status: int
) -> None:
    path = "/api/v1/articles" if method == "POST" else f"/api/v1/articles/{publish().id}"
    answer = author.client.open(
        path, method=method, data=content, headers=author.headers | ({"Content-Type": kind} if kind else {})
    )
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert body(answer)["status"] == status
    assert db.read(articles.count) == (method == "PATCH")


def test_an_empty_change_is_refused(author: Author, publish: Callable[..., Article]) -> None:
    answer = author.client.patch(f"/api/v1/articles/{publish().id}", json={}, headers=author.headers)
    assert (answer.status_code, fields(answer)) == (422, ["content", "title"])


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("wrong", ["0", "-1", "9e99", "1.0", "99999999999999999999", "%00", "x", "\u0663"])
def test_an_impossible_id_is_a_404(client: FlaskClient, method: str, wrong: str) -> None:
    answer = client.open(f"/api/v1/articles/{wrong}", method=method)
    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")


@pytest.mark.parametrize(
    "title",
    ["\u05e9\u05dc\u05d5\u05dd \u05e2\u05d5\u05dc\u05dd", "\u0645\u0631\u062d\u0628\u0627", "Ærø 🦢", "<b>'\"&"],
)
def test_titles_in_every_script_are_stored_unchanged(author: Author, title: str) -> None:
    answer = author.post(title=title)
    assert (answer.status_code, body(answer)["title"]) == (201, title)


@pytest.mark.parametrize(
    "header",
    ["If-None-Match", "If-Match", "Authorization", "Idempotency-Key", "Content-Type", "Cookie", "X-Request-Id"],
)
@pytest.mark.parametrize(
    "value", ["", '"', "\x7f", "\u00e9", "W/", "*" * 5000, ",,,,", "Bearer .", 'session="', "pin=" + "x" * 900]
)
def test_odd_headers_do_not_cause_a_server_error(
    author: Author, publish: Callable[..., Article], header: str, value: str
) -> None:
    article = publish()
    for method, path in (
        ("GET", f"/api/v1/articles/{article.id}"),
        ("PATCH", f"/api/v1/articles/{article.id}"),
        ("POST", "/api/v1/articles"),
    ):
        headers = author.headers | {"Content-Type": "application/json", header: value}
        answer = author.client.open(path, method=method, data=json.dumps(GOOD), headers=headers)
        assert answer.status_code < 500, (method, answer.text)
