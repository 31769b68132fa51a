from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from flask import Flask
from sqlalchemy.dialects import postgresql, sqlite

from app.database.models import User
from app.extensions import db
from app.news import articles, listing
from app.news.listing import Selection
from app.web.paging import Position, TokenError
from tests.unit.app.conftest import Publish, add_user

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)


def titles(selection: Selection, *, limit: int = 10) -> list[str]:
    """The titles of all pages of a list."""
    found: list[str] = []
    after: Position | None = None
    while True:
        page = db.read(partial(listing.page, selection=selection, after=after, limit=limit))
        found += [article["title"] for article in page["articles"]]
        if page["next"] is None:
            return found
        after = Position.from_token(page["next"], selection.digest)


@pytest.fixture
def stored(app: Flask, publish: Publish, user: User) -> User:
    """Articles of two authors, hours apart. Returns the second author."""
    other = add_user(app, "bo@news.example")
    for number in range(6):
        publish(
            f"{'Storm' if number % 2 else 'Calm'} {number}",
            published_at=MOMENT + timedelta(hours=number),
            author_id=other.id if number < 2 else user.id,
            keywords=["harbour", "storm"] if number % 2 else ["harbour"],
        )
    return other


@pytest.mark.parametrize("limit", [1, 2, 10])
def test_a_list_has_each_matching_article_once_newest_first(stored: User, limit: int) -> None:
    everything = ["Storm 5", "Calm 4", "Storm 3", "Calm 2", "Storm 1", "Calm 0"]
    chosen: list[tuple[dict[str, Any], list[str]]] = [
        ({}, everything),
        ({"author": stored.id}, everything[4:]),
        ({"keyword": "storm"}, everything[::2]),
        ({"q": "STORM"}, everything[::2]),
        ({"since": MOMENT + timedelta(hours=4)}, everything[:2]),
        ({"until": MOMENT + timedelta(hours=1)}, everything[5:]),
        ({"author": stored.id, "keyword": "storm", "since": MOMENT, "q": "content"}, ["Storm 1"]),
        ({"author": 999}, []),
        ({"q": "%"}, []),
    ]
    for given, expected in chosen:
        assert titles(Selection(**given), limit=limit) == expected, given


@pytest.mark.usefixtures("app")
def test_a_page_token_is_valid_only_for_its_list_and_filters() -> None:
    marks = [
        Selection(**given).digest
        for given in ({}, {"author": 1}, {"author": 2}, {"keyword": "1"}, {"q": "1"}, {"q": "1", "author": 1})
    ]
    assert len(set(marks)) == len(marks)
    token = Position(MOMENT, 1, marks[1]).token
    assert Position.from_token(token, marks[1]) == Position(MOMENT, 1, marks[1])
    for mark in marks[:1] + marks[2:]:
        with pytest.raises(TokenError):
            Position.from_token(token, mark)


def test_lists_are_cached_by_filter_and_invalidated_together(app: Flask, stored: User, publish: Publish) -> None:
    def found(body: bytes) -> list[str]:
        return [article["title"] for article in app.json.loads(body)["articles"]]

    def search() -> bytes:
        return articles.cached_page(Selection(q="storm"), after=None, limit=10, seconds=30).body

    assert found(search()) == ["Storm 5", "Storm 3", "Storm 1"]
    for limit, expected in ((1, ["Storm 1"]), (2, ["Storm 1", "Calm 0"])):
        by_author = articles.cached_page(Selection(author=stored.id), after=None, limit=limit, seconds=30)
        assert found(by_author.body) == expected
    publish("Storm 6", published_at=MOMENT + timedelta(hours=6))
    assert len(found(search())) == 3
    articles.invalidate()
    assert len(found(search())) == 4


def test_postgres_searches_by_index_and_sqlite_by_substring() -> None:
    def compiled(dialect: Any) -> str:
        statement = listing.statement(dialect.name, frozenset({"q", "keyword"}), following=True)
        return str(statement.compile(dialect=dialect))

    on_postgres = compiled(postgresql.psycopg2.dialect())  # type: ignore[no-untyped-call]
    assert "article.search @@ websearch_to_tsquery('english', %(q)s)" in on_postgres
    assert "article.keywords @> jsonb_build_array(CAST(%(keyword)s AS text))" in on_postgres
    assert "instr(" in compiled(sqlite.dialect())


def test_statements_are_cached() -> None:
    one, other = (listing.statement("sqlite", frozenset({"q"}), following=False) for _ in range(2))
    assert one is other
