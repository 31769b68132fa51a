"""Invalid input gets a 4xx problem that names the error, and nothing is stored."""

import json
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
from tests.unit.app.conftest import Author, Publish, body

GOOD = {"title": "A title", "content": "Some content."}
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TOKEN = Position(MOMENT, 1).token

BY_AUTHOR = Position(MOMENT, 1, Selection(author=1).digest).token

# Parameters of the list, with invalid values.
PARAMETERS = {
    "limit": ["0", "101", "-1", "ten", "9e99", "1_0", "%D9%A3", "9" * 5000],
    "page": ["-1"],
    "utm_source": ["x"],
    "author": ["0", "-5", "9e99", "99999999999999999999", "%00"],
    "keyword": ["", "a%00b", "x" * 81],
    "q": ["", "%20", "a%00b", "x" * 201],
    "since": [
        "yesterday",
        "2026-05-01",
        "2026-05-01T00:00:00",
        "2026-05-01T00:00:00+02:00",
        "2026-13-01T00:00:00Z",
        "0001-01-01T00:00:00%2B14:00",
    ],
    "until": ["9999-12-31T23:59:59-14:00", "9e99"],
    "after": ["", "garbage", "%00", "%C3%A9", f"{TOKEN}0000"],
}
# Invalid queries, and the field that the error names. The tokens belong to other lists.
QUERIES = [
    *((f"{name}={value}", name) for name, values in PARAMETERS.items() for value in values),
    ("%00=x", "\0"),
    (f"after={TOKEN}&author=1", "after"),
    (f"after={TOKEN}&q=storm", "after"),
    (f"after={BY_AUTHOR}", "after"),
    (f"after={BY_AUTHOR}&author=2", "after"),
]

# Fields of an article, with invalid values.
FIELDS: dict[str, list[Any]] = {
    "title": [
        "",
        " \t ",
        "\u200b",
        "\u3164",
        "\u2800",
        "\u00ad\ufe0f",
        "\u0301",
        "x" * 201,
        "x" * 10_000,
        5,
        True,
        None,
        ["A title"],
        {"a": {"b": "c"}},
        "nul\0",
        "\ud800",
    ],
    "content": ["\u200b\n\u3164", "x" * 100_001, None, "a\0b", 10**4000],
    "views": [10],
    "id": [1],
    "version": [7],
    "\u202e": [1],
}
FIELDS["title"] += ["two\nlines", "abc\u202egnp.exe", "a\u2066b"]
ARTICLES = [(field, value) for field, values in FIELDS.items() for value in values]

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


@pytest.mark.parametrize(
    ("path", "field"),
    [
        *((f"/api/v1/articles?{query}", field) for query, field in QUERIES),
        ("/api/v1/articles/1?page=-1", "page"),
        ("/api/v1/me?page=-1", "page"),
    ],
    ids=lambda value: value[:60],
)
def test_an_invalid_parameter_is_named_in_the_error(client: FlaskClient, path: str, field: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.content_type) == (422, "application/problem+json")
    assert fields(answer) == [field]


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize(("field", "value"), ARTICLES, ids=[ascii(article)[:40] for article in ARTICLES])
def test_an_invalid_field_is_named_in_the_error(
    author: Author, publish: Publish, method: str, field: str, value: Any
) -> None:
    path = "/api/v1/articles" if method == "POST" else f"/api/v1/articles/{publish().id}"
    article = json.dumps(GOOD | {field: value})
    answer = author.client.open(
        path, method=method, data=article, headers=author.headers, content_type="application/json"
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
    author: Author, publish: Publish, method: str, content: bytes, kind: str, status: int
) -> None:
    path = "/api/v1/articles" if method == "POST" else f"/api/v1/articles/{publish().id}"
    answer = author.client.open(
        path, method=method, data=content, headers=author.headers | ({"Content-Type": kind} if kind else {})
    )
    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert body(answer)["status"] == status
    assert db.read(articles.count) == (method == "PATCH")


def test_an_empty_change_is_refused(author: Author, publish: Publish) -> None:
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
