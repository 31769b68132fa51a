from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.database.models import Article
from app.extensions import db
from app.news import articles
from app.web import read_your_writes
from tests.unit.app.conftest import Author, cookies


@pytest.fixture
def settings(migrated: Path, tmp_path: Path) -> dict[str, Any]:
    """A replica that never gets what the primary is told, so that one sees which of them was asked."""
    replica = tmp_path / "replica.sqlite3"
    shutil.copy(migrated, replica)
    # Nothing of the cache is fresh: every read asks a database.
    return {"DATABASE_REPLICA_URL": f"sqlite:///{replica}", "ARTICLES_TTL": 1e-6, "ARTICLE_TTL": 1e-6, "PIN_SECONDS": 1}


def test_reads_go_to_the_replica_and_writes_to_the_primary(publish: Callable[..., Article]) -> None:
    publish()
    assert db.read(articles.count) == 0
    assert db.read(articles.count, primary=True) == 1


def test_a_replica_takes_no_transaction(app: Flask) -> None:
    # The driver of the test's database begins no transaction where this is None.
    assert db.read(_driver_level) is None
    assert app.extensions["database"].replica.pool is not db.primary.pool


# What may be asked of a connection when its reader is done with it.
@pytest.mark.parametrize("question", ["do_rollback", "reset_isolation_level"])
def test_a_connection_that_dies_after_its_answer_takes_no_place_of_the_pool_along(
    app: Flask, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    primary = app.extensions["database"].primary
    dying: list[bool] = []

    def die_once(*_: Any) -> None:
        if dying:
            dying.clear()
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    monkeypatch.setattr(primary.dialect, question, die_once)
    for _ in range(20):
        dying.append(True)
        assert db.read(articles.count, primary=True) == 0
    assert primary.pool.checkedout() == 0


def _driver_level(session: Session) -> Any:
    driver: Any = session.connection().connection.dbapi_connection
    return driver.isolation_level


def test_who_has_written_by_the_api_reads_from_the_primary(app: Flask, author: Author) -> None:
    path = author.post(title="mine").headers["Location"]
    forget_recent_writes(app)
    assert author.client.get(path, headers=author.headers).status_code == 200
    assert app.test_client().get(path).status_code == 404, "the replica does not have it"


def test_readers_of_an_entry_that_was_just_outdated_get_it_from_the_primary(app: Flask, author: Author) -> None:
    author.post(title="breaking")
    assert "breaking" in app.test_client().get("/api/v1/articles").text


def test_the_sites_pin_is_signed_and_expires(
    app: Flask, publish: Callable[..., Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    article = publish()

    @app.post("/write")
    def write() -> str:
        read_your_writes.pin_to_primary()
        return "written"

    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert cookies(client.post("/write")) == [read_your_writes.COOKIE]
    assert client.get(f"/articles/{article.id}").status_code == 200

    stranger = app.test_client()
    stranger.set_cookie(read_your_writes.COOKIE, "1")
    assert stranger.get(f"/articles/{article.id}").status_code == 404, "a forged pin was believed"

    cookie = client.get_cookie(read_your_writes.COOKIE)
    assert cookie is not None
    value = cookie.value
    late = app.test_client()
    late.set_cookie(read_your_writes.COOKIE, value)
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda _self: 4_000_000_000)
    assert late.get(f"/articles/{article.id}").status_code == 404, "an expired pin was believed"


class ReadOnlyError(sqlite3.OperationalError):
    """What psycopg2 raises on a primary that has become a standby."""

    pgcode = "25006"


def test_a_connection_that_has_become_read_only_is_dropped_and_the_write_repeated(app: Flask) -> None:
    engine = app.extensions["database"].primary
    seen: list[Any] = []

    def write(session: Session) -> None:
        seen.append(session.connection().connection.dbapi_connection)
        session.execute(text("UPDATE article SET views = views"))

    with failing(engine, ReadOnlyError("cannot execute UPDATE in a read-only transaction")):
        db.write(write)
    assert len(seen) == 2
    assert seen[0] is not seen[1], "the dead connection was used again"


def test_a_write_is_repeated_once_and_no_more(app: Flask) -> None:
    attempts = 0

    def write(session: Session) -> None:
        nonlocal attempts
        attempts += 1
        session.execute(text("UPDATE article SET views = views"))

    with (
        failing(app.extensions["database"].primary, ReadOnlyError("read-only"), times=9),
        pytest.raises(Exception, match="read-only"),
    ):
        db.write(write)
    assert attempts == 2


@pytest.mark.usefixtures("app")
def test_an_error_of_the_statement_is_not_repeated() -> None:
    attempts = 0

    def write(session: Session) -> None:
        nonlocal attempts
        attempts += 1
        session.execute(text("UPDATE nonsense SET views = 1"))

    with pytest.raises(OperationalError):
        db.write(write)
    assert attempts == 1


def test_a_failed_write_leaves_nothing(publish: Callable[..., Article]) -> None:
    def write(session: Session) -> None:
        session.execute(text("UPDATE article SET views = 99"))
        raise RuntimeError("crash")

    publish()
    with pytest.raises(RuntimeError):
        db.write(write)
    assert db.read(lambda session: session.scalar(text("SELECT max(views) FROM article")), primary=True) == 0


def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(app: Flask, client: FlaskClient) -> None:
    with failing(app.extensions["database"].replica, sqlite3.OperationalError("refused"), times=9):
        for path, kind in (("/api/v1/articles", "application/problem+json"), ("/", "text/html; charset=utf-8")):
            response = client.get(path)
            assert (response.status_code, response.content_type) == (503, kind)
            assert int(response.headers["Retry-After"]) > 0
            assert "refused" not in response.text


def forget_recent_writes(app: Flask) -> None:
    app.extensions["cache"].backend.drop("recent:lists")
    app.extensions["cache"].backend.drop("recent:article:1")


@contextmanager
def failing(engine: Engine, error: Exception, times: int = 1) -> Iterator[None]:
    """Make the engine's next statements fail."""
    left = times

    def fail(*_: Any) -> None:
        nonlocal left
        if left:
            left -= 1
            raise error

    event.listen(engine, "do_execute", fail)
    yield
    event.remove(engine, "do_execute", fail)
