"""The watchdog closes connections to a frozen database, and no others."""

import socket
import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest

from app.database.watchdog import CHECK_SECONDS, watchdog, watched

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


@pytest.fixture
def frozen_server() -> Iterator[int]:
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

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for accepted in connections:
            accepted.close()


def connect(port: int, seconds: float) -> psycopg2.extensions.connection:
    """A connection that waits at most this long for an answer."""
    connected: psycopg2.extensions.connection = psycopg2.connect(
        host="127.0.0.1",
        port=port,
        user="u",
        dbname="d",
        sslmode="disable",
        gssencmode="disable",
        **watched(seconds),
    )
    return connected


def test_a_statement_without_an_answer_fails_and_closes_its_connection(frozen_server: int) -> None:
    connection = connect(frozen_server, seconds=0.3)
    began = time.monotonic()
    with pytest.raises(psycopg2.OperationalError):
        connection.cursor().execute("SELECT 1")
    assert time.monotonic() - began < 2
    assert connection.closed


def test_a_connection_that_answers_in_time_stays_open() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        with watchdog.timeout(0.4, ours):
            pass
        time.sleep(0.4 + 2 * CHECK_SECONDS)
        theirs.sendall(b"still there")
        assert ours.recv(20) == b"still there"
