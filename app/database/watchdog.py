"""Watchdog for frozen database connections.

Postgres ends a slow statement itself, but not if the whole server is frozen or waits for its disk. The kernel of such a
server still acknowledges packets, so no TCP timeout applies. libpq has no timeout for an answer either. Without this
watchdog every thread of the application would wait for the frozen primary, long after a failover.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

CHECK_SECONDS = 0.25


class Watchdog:
    """Shuts down the socket of a connection that waits too long. libpq then reports that the server closed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[float, connection]] = {}
        self._running = False
        os.register_at_fork(after_in_child=self._reset)

    @contextmanager
    def timeout(self, seconds: float, waiting: connection) -> Iterator[None]:
        """Shut the connection down if the body of this context takes longer than `seconds`."""
        token = object()
        with self._lock:
            self._waiting[token] = (time.monotonic() + seconds, waiting)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="database-watchdog", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(token, None)

    def _run(self) -> None:
        while True:
            time.sleep(CHECK_SECONDS)
            # Hold the lock during the shutdown. Otherwise the connection could get its answer and serve a new request.
            with self._lock:
                for token, (deadline, waiting) in list(self._waiting.items()):
                    if time.monotonic() > deadline:
                        del self._waiting[token]
                        _shut_down(waiting)

    def _reset(self) -> None:
        """Start with no thread and no connections in a forked child: they belong to the parent."""
        self._lock, self._waiting, self._running = threading.Lock(), {}, False


watchdog = Watchdog()


def watched(seconds: float) -> dict[str, Any]:
    """Return the arguments of `psycopg2.connect` for connections that wait at most `seconds` for an answer."""

    class WatchedCursor(cursor):
        """Limits the time of statements."""

        def execute(self, *args: Any, **kwargs: Any) -> None:
            with watchdog.timeout(seconds, self.connection):
                super().execute(*args, **kwargs)

    class WatchedConnection(connection):
        """Limits the time of COMMIT and ROLLBACK."""

        def commit(self) -> None:
            with watchdog.timeout(seconds, self):
                super().commit()

        def rollback(self) -> None:
            with watchdog.timeout(seconds, self):
                super().rollback()

    return {"connection_factory": WatchedConnection, "cursor_factory": WatchedCursor}


def _shut_down(waiting: connection) -> None:
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(waiting.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
