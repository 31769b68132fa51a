import sqlite3
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.extensions import db
from app.news import articles
from app.web import read_your_writes
from tests.unit.app.conftest import Author, Publish, cookie, cookies
from tests.unit.app.database.conftest import failing


def test_reads_go_to_the_replica_and_writes_to_the_primary(publish: Publish) -> None:
    publish()
    assert db.read(articles.count) == 0
    assert db.read(articles.count, primary=True) == 1


def test_reads_from_the_replica_use_no_transaction(app: Flask) -> None:
    def isolation_level(session: Session) -> Any:
        driver: Any = session.connection().connection.dbapi_connection
        return driver.isolation_level

    # None is SQLite's autocommit mode.
    assert db.read(isolation_level) is None
    assert app.extensions["database"].replica.pool is not db.primary.pool


# SQLAlchemy may call these when it returns a connection to the pool.
@pytest.mark.parametrize("method", ["do_rollback", "reset_isolation_level"])
def test_a_connection_that_dies_after_its_answer_leaks_no_slot_of_the_pool(
    app: Flask, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    primary = app.extensions["database"].primary
    dying: list[bool] = []

    def die_once(*_: Any) -> None:
        if dying:
            dying.clear()
            raise sqlite3.ProgrammingError("Cannot operate on a closed database.")

    monkeypatch.setattr(primary.dialect, method, die_once)
    for _ in range(20):
        dying.append(True)
        assert db.read(articles.count, primary=True) == 0
    assert primary.pool.checkedout() == 0


def test_an_api_client_that_has_just_written_reads_from_the_primary(app: Flask, author: Author) -> None:
    path = author.post(title="mine").headers["Location"]
    for name in ("lists", "article:1"):
        app.extensions["cache"].backend.drop(f"recent:{name}")
    assert author.client.get(path, headers=author.headers).status_code == 200
    assert app.test_client().get(path).status_code == 404, "another client read from the primary"


def test_a_recently_invalidated_entry_is_read_from_the_primary(app: Flask, author: Author) -> None:
    author.post(title="breaking")
    assert "breaking" in app.test_client().get("/api/v1/articles").text


def test_the_pin_cookie_is_signed_and_expires(app: Flask, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    article = publish()

    @app.post("/write")
    def write() -> str:
        read_your_writes.mark_writer()
        return "written"

    app.config["WTF_CSRF_ENABLED"] = False
    client = app.test_client()
    assert cookies(client.post("/write")) == [read_your_writes.COOKIE]
    assert client.get(f"/articles/{article.id}").status_code == 200

    stranger = app.test_client()
    stranger.set_cookie(read_your_writes.COOKIE, "1")
    assert stranger.get(f"/articles/{article.id}").status_code == 404, "accepted a forged cookie"

    late = app.test_client()
    late.set_cookie(read_your_writes.COOKIE, cookie(client, read_your_writes.COOKIE))
    monkeypatch.setattr("itsdangerous.timed.TimestampSigner.get_timestamp", lambda _self: 4_000_000_000)
    assert late.get(f"/articles/{article.id}").status_code == 404, "accepted an expired cookie"


class ReadOnlyError(sqlite3.OperationalError):
    """The error of a primary that has become a standby."""

    pgcode = "25006"


def write(statement: str, connections: list[Any]) -> None:
    """Execute a statement. Record the connection of each attempt."""

    def work(session: Session) -> None:
        connections.append(session.connection().connection.dbapi_connection)
        session.execute(text(statement))

    db.write(work)


def test_a_write_on_a_connection_that_became_read_only_is_retried_on_a_new_one(app: Flask) -> None:
    used: list[Any] = []
    with failing(app.extensions["database"].primary, ReadOnlyError("cannot execute UPDATE in a read-only transaction")):
        write("UPDATE article SET views = views", used)
    assert len(used) == 2
    assert used[0] is not used[1], "used the same connection again"


def test_a_write_is_retried_only_once(app: Flask) -> None:
    used: list[Any] = []
    always = failing(app.extensions["database"].primary, ReadOnlyError("read-only"), times=9)
    with always, pytest.raises(Exception, match="read-only"):
        write("UPDATE article SET views = views", used)
    assert len(used) == 2


@pytest.mark.usefixtures("app")
def test_an_error_of_the_statement_is_not_retried() -> None:
    used: list[Any] = []
    with pytest.raises(OperationalError):
        write("UPDATE nonsense SET views = 1", used)
    assert len(used) == 1


def test_a_failed_write_is_rolled_back(publish: Publish) -> None:
    def write(session: Session) -> None:
        session.execute(text("UPDATE article SET views = 99"))
        raise RuntimeError("crash")

    publish()
    with pytest.raises(RuntimeError):
        db.write(write)
    assert db.read(lambda session: session.scalar(text("SELECT max(views) FROM article")), primary=True) == 0


def test_a_database_outage_gives_503_with_retry_after(app: Flask, client: FlaskClient) -> None:
    with failing(app.extensions["database"].replica, sqlite3.OperationalError("refused"), times=9):
        for path, kind in (("/api/v1/articles", "application/problem+json"), ("/", "text/html; charset=utf-8")):
            response = client.get(path)
            assert (response.status_code, response.content_type) == (503, kind)
            assert int(response.headers["Retry-After"]) > 0
            assert "refused" not in response.text
