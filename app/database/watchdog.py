"""Watchdog for frozen database connections.

Postgres ends a slow statement itself, but not if the whole server is frozen or waits for its disk. The kernel of such a
server still acknowledges packets, so no TCP timeout applies. libpq has no timeout for an answer either. Without this
watchdog every thread of the application would wait for the frozen primary, long after a failover.
"""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

CHECK_SECONDS = 0.25
# The driver's calls that wait for an answer of the server. A unit test fails if a new one is missing.
# Nobody uses `cancel`, which opens a connection of its own, nor large objects. No watchdog covers them.
CONNECTION_CALLS = (
    *("commit", "rollback", "reset", "set_client_encoding", "set_isolation_level", "set_session", "__setattr__"),
    *("tpc_begin", "tpc_prepare", "tpc_commit", "tpc_rollback", "tpc_recover"),
)
CURSOR_CALLS = ("execute", "callproc", "copy_expert", "copy_from", "copy_to")
# The rows of a named cursor stay on the server until they are fetched.
NAMED_CURSOR_CALLS = (*CURSOR_CALLS, "fetchone", "fetchmany", "fetchall", "__next__", "scroll", "close")


class Watchdog:
    """Shuts down the socket of a connection that waits too long. libpq then reports that the server closed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[float, connection]] = {}
        self._running = False
        os.register_at_fork(after_in_child=self._reset)

    @contextmanager
    def timeout(self, seconds: float, waiting: connection) -> Iterator[Callable[[], None]]:
        """Shut the connection down if the body of this context takes longer than `seconds`.

        The value of the context is a function that starts the time again.
        """
        token = object()

        def start() -> None:
            self._waiting[token] = (time.monotonic() + seconds, waiting)

        with self._lock:
            start()
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="database-watchdog", daemon=True).start()
        try:
            yield start
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

    def executemany(cursor_: cursor, query: Any, rows: Iterable[Any]) -> None:
        """Limit the time of each row's statement, as the server does."""

        def restarting(start: Callable[[], None]) -> Iterator[Any]:
            for row in rows:
                start()
                yield row

        with watchdog.timeout(seconds, cursor_.connection) as start:
            cursor.executemany(cursor_, query, restarting(start))

    plain = _subclass(cursor, CURSOR_CALLS, seconds, executemany=executemany)
    named = _subclass(cursor, NAMED_CURSOR_CALLS, seconds, executemany=executemany)
    return {
        "connection_factory": _subclass(connection, CONNECTION_CALLS, seconds),
        "cursor_factory": lambda connection_, name: (named if name else plain)(connection_, name),
    }


def _subclass(base: Any, calls: Iterable[str], seconds: float, **methods: Any) -> Any:
    """Return a subclass of a connection or a cursor, with a limit on the time of these calls."""

    def limited(name: str) -> Any:
        original = getattr(base, name)

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            with watchdog.timeout(seconds, self if base is connection else self.connection):
                return original(self, *args, **kwargs)

        return call

    return type(f"Watched_{base.__name__}", (base,), methods | {name: limited(name) for name in calls})


def _shut_down(waiting: connection) -> None:
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(waiting.fileno())) as duplicate:
        duplicate.shutdown(socket.SHUT_RDWR)
