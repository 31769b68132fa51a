"""All statements of pages use an index. This is checked with EXPLAIN on a Postgres with 100,000 articles."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import Executable, event, text
from sqlalchemy.orm import Session

from app.extensions import db
from app.news import articles, listing

ARTICLES = 100_000
# Blocks of 8 KiB that a statement may read. The table has about 15,000.
MAX_BLOCKS = 500

LOAD = """
INSERT INTO account (email, name, password_hash, is_admin, is_active, created_at)
SELECT 'author' || n || '@news.example', 'Author ' || n, '', false, true, now() FROM generate_series(1, 500) n;

INSERT INTO article (author_id, title, content, summary, keywords, views, published_at, processed_at)
SELECT 1 + n % 500,
    'Title ' || n || CASE WHEN n % 1000 = 0 THEN ' regatta' ELSE '' END,
    'Harbour report ' || n || '. ' || repeat('word' || n % 5000 || ' said someone about something else. ', 25),
    'Harbour report ' || n || '.',
    jsonb_build_array('word' || n % 5000, CASE WHEN n % 4 = 0 THEN 'harbour' ELSE 'town' END),
    (n * 7919::bigint) % 100003,
    timestamptz '2025-01-01' + n * interval '7 minutes',
    CASE WHEN n % 20000 = 0 THEN NULL ELSE now() END
FROM generate_series(1, :articles) n;
"""

MIDDLE = datetime(2025, 9, 1, tzinfo=UTC)
LATE = datetime(2026, 4, 20, tzinfo=UTC)
FILTERS: dict[str, list[Any]] = {
    "author": [17],
    # A rare and a common keyword, for which Postgres chooses different plans.
    "keyword": ["word17", "harbour"],
    "since": [MIDDLE, LATE],
    "until": [MIDDLE, LATE],
    "q": ["regatta", "harbour", '"harbour report" -regatta'],
}
POSITION = {"after_time": datetime(2025, 10, 1, tzinfo=UTC), "after_id": 50_000}


def lists() -> Iterator[tuple[str, Executable, dict[str, Any]]]:
    """Yield all statements of lists: with each value of one filter, or with the first values of several filters."""
    for count in range(len(FILTERS) + 1):
        for chosen in combinations(FILTERS, count):
            choices = (
                [{name: value} for name in chosen for value in FILTERS[name]]
                if count == 1
                else [{n: FILTERS[n][0] for n in chosen}]
            )
            for given in choices:
                for following in (False, True):
                    label = f"{given}{' following' if following else ''}"
                    values = given | {"limit": 21} | (POSITION if following else {})
                    yield label, listing.statement("postgresql", frozenset(chosen), following=following), values


STATEMENTS = [
    *lists(),
    ("popular", articles.POPULAR, {"limit": 20}),
    ("one", articles.ONE, {"id": 4711}),
    ("ownership", articles.OWNERSHIP, {"id": 4711}),
    ("unprocessed", articles.UNPROCESSED, {"before": LATE}),
]


@pytest.fixture(scope="module")
def loaded(app: Flask) -> Flask:
    """The application with 100,000 articles."""
    with app.extensions["database"].primary.begin() as connection:
        connection.execute(text(LOAD), {"articles": ARTICLES})
    with app.extensions["database"].primary.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE"))
    return app


@pytest.mark.parametrize(
    ("statement", "values"), [case[1:] for case in STATEMENTS], ids=[case[0] for case in STATEMENTS]
)
@pytest.mark.usefixtures("loaded")
def test_a_statement_uses_an_index(statement: Executable, values: dict[str, Any]) -> None:
    plan = db.read(lambda session: explain(session, statement, values))
    scans = [node for node in nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert "article" not in {node["Relation Name"] for node in scans}, plan
    touched = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    assert touched <= MAX_BLOCKS, plan


def explain(session: Session, statement: Executable, values: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of a statement as the application sends it."""
    sent: list[tuple[str, Any]] = []

    def record(_connection: Any, _cursor: Any, sql: str, parameters: Any, _context: Any, _many: bool) -> None:
        sent.append((sql, parameters))

    connection = session.connection()
    event.listen(connection, "before_cursor_execute", record)
    session.execute(statement, values)
    event.remove(connection, "before_cursor_execute", record)
    [(sql, parameters)] = sent
    explained: dict[str, Any] = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", parameters
    ).scalar_one()[0]["Plan"]
    return explained


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield all nodes of a plan."""
    yield plan
    for child in plan.get("Plans", []):
        yield from nodes(child)
