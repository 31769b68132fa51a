"""The watchdog closes connections to a frozen database, and no others."""

import io
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import connection, cursor
from sqlalchemy.exc import OperationalError

from app import config
from app.database.engine import Database
from app.database.watchdog import CHECK_SECONDS, CONNECTION_CALLS, NAMED_CURSOR_CALLS, watchdog, watched

# Postgres sends these settings after authentication.
SETTINGS = {
    b"server_version": b"17.0",
    b"client_encoding": b"UTF8",
    b"standard_conforming_strings": b"on",
    b"DateStyle": b"ISO",
}


def welcome() -> bytes:
    """The first messages of Postgres: authenticated, settings, ready for a query."""
    settings = b"".join(
        b"S" + (6 + len(name) + len(value)).to_bytes(4, "big") + name + b"\0" + value + b"\0"
        for name, value in SETTINGS.items()
    )
    return b"R\0\0\0\x08\0\0\0\0" + settings + b"Z\0\0\0\x05I"


# The answer to a command: complete, and ready for a query in a transaction.
DONE = b"C\0\0\0\x0aBEGIN\0" + b"Z\0\0\0\x05T"

# What a caller does, and how many commands the server answers before it freezes.
WAITING_CALLS: dict[str, tuple[int, Callable[[Any], Any]]] = {
    "execute": (0, lambda db: db.cursor().execute("SELECT 1")),
    "executemany": (0, lambda db: db.cursor().executemany("SELECT %s", [(1,), (2,)])),
    "executemany, later row": (2, lambda db: db.cursor().executemany("SELECT %s", [(1,), (2,)])),
    "callproc": (0, lambda db: db.cursor().callproc("now")),
    "copy_expert": (1, lambda db: db.cursor().copy_expert("COPY article TO STDOUT", io.StringIO())),
    "copy_from": (1, lambda db: db.cursor().copy_from(io.StringIO("1\n"), "article")),
    "copy_to": (1, lambda db: db.cursor().copy_to(io.StringIO(), "article")),
    "fetchone": (2, lambda db: named_cursor(db).fetchone()),
    "fetchmany": (2, lambda db: named_cursor(db).fetchmany(5)),
    "fetchall": (2, lambda db: named_cursor(db).fetchall()),
    "iteration": (2, lambda db: list(named_cursor(db))),
    "scroll": (2, lambda db: named_cursor(db).scroll(5)),
    "close a cursor": (2, lambda db: named_cursor(db).close()),
    "commit": (2, lambda db: (db.cursor().execute("SELECT 1"), db.commit())),
    "rollback": (2, lambda db: (db.cursor().execute("SELECT 1"), db.rollback())),
    "leave a transaction": (2, lambda db: in_a_transaction(db)),
    "set_isolation_level": (2, lambda db: (db.cursor().execute("SELECT 1"), db.set_isolation_level(1))),
    "reset": (0, lambda db: db.reset()),
    "set_client_encoding": (0, lambda db: db.set_client_encoding("LATIN1")),
    "set_session": (0, lambda db: db.set_session(readonly=True, autocommit=True)),
    "readonly": (0, lambda db: make_readonly(db)),
    "tpc_begin": (0, lambda db: db.tpc_begin("transaction")),
    "tpc_recover": (0, lambda db: db.tpc_recover()),
}
# All other methods of the driver need no answer, or nobody uses them.
LOCAL_CALLS = {
    *("cast", "mogrify", "nextset", "setinputsizes", "setoutputsize", "__enter__", "__exit__"),
    *("close", "cursor", "fileno", "xid", "poll", "isexecuting", "get_backend_pid", "get_dsn_parameters"),
    *("get_native_connection", "get_parameter_status", "get_transaction_status"),
}
UNUSED_CALLS = {"cancel", "lobject"}


def named_cursor(database: connection) -> cursor:
    """A named cursor after its query."""
    named = database.cursor("named", scrollable=True)
    named.execute("SELECT 1")
    return named


def make_readonly(database: connection) -> None:
    """A setting that takes effect at once, because there is no transaction."""
    database.autocommit = True
    database.readonly = True


def in_a_transaction(database: connection) -> None:
    """A statement in a transaction."""
    with database, database.cursor() as plain:
        plain.execute("SELECT 1")


@pytest.fixture
def answers() -> int:
    """How many commands the server answers before it freezes. Tests override it by a parameter."""
    return 0


@pytest.fixture
def frozen_server(answers: int) -> Iterator[int]:
    """The port of a Postgres that accepts clients and then freezes. The kernel still acknowledges packets."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        connections: list[socket.socket] = []

        def serve() -> None:
            while True:
                try:
                    accepted, _ = server.accept()
                except OSError:
                    return
                connections.append(accepted)
                accepted.recv(1024)
                accepted.sendall(welcome())
                for _ in range(answers):
                    accepted.recv(1024)
                    accepted.sendall(DONE)

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for accepted in connections:
            accepted.close()


def connect(port: int, seconds: float) -> connection:
    """A connection that waits at most this long for an answer."""
    connected: connection = psycopg2.connect(
        host="127.0.0.1",
        port=port,
        user="u",
        dbname="d",
        sslmode="disable",
        gssencmode="disable",
        **watched(seconds),
    )
    return connected


@pytest.mark.parametrize(("answers", "call"), WAITING_CALLS.values(), ids=WAITING_CALLS)
def test_a_call_without_an_answer_fails_and_closes_its_connection(
    frozen_server: int, call: Callable[[Any], Any]
) -> None:
    database = connect(frozen_server, seconds=0.1)
    failures: list[Exception] = []

    def wait() -> None:
        try:
            call(database)
        except psycopg2.Error as error:
            failures.append(error)

    # In a thread of its own, so that a call without a limit fails this test instead of blocking it.
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    thread.join(2)
    assert not thread.is_alive(), "the call waits without a limit"
    assert failures
    assert database.closed


def test_every_call_of_the_driver_is_limited_or_needs_no_answer() -> None:
    limited = {*CONNECTION_CALLS, *NAMED_CURSOR_CALLS, "executemany"}
    calls = {
        name
        for kind in (connection, cursor)
        for name in vars(kind)
        if callable(getattr(kind, name)) and (not name.startswith("__") or name == "__next__")
    }
    assert calls - limited - LOCAL_CALLS == UNUSED_CALLS


def test_each_row_of_executemany_has_its_own_limit() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with watchdog.timeout(0.6, ours) as start:
            for _ in range(3):
                time.sleep(0.4)
                start()
        theirs.sendall(b"still there")
        assert ours.recv(20) == b"still there"


def test_a_server_that_freezes_before_the_greeting_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.database.engine.CONNECT_TIMEOUT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        settings = vars(config.Testing()) | {"DATABASE_PRIMARY_WAIT": 0, "DATABASE_STATEMENT_TIMEOUT": 5000}
        database = Database(f"postgresql+psycopg2://u@127.0.0.1:{port}/d", "", settings)
        with pytest.raises(OperationalError, match="timeout expired"):
            database.primary.connect()


def test_a_connection_that_answers_in_time_stays_open() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with watchdog.timeout(0.4, ours):
            pass
        time.sleep(0.4 + 2 * CHECK_SECONDS)
        theirs.sendall(b"still there")
        assert ours.recv(20) == b"still there"
