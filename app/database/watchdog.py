"""Database connections that give up on a server which has stopped answering.

Postgres ends a statement that takes too long, but not where it stands still itself: frozen, or waiting for a disk. Its kernel goes on
acknowledging, so that no timeout of TCP applies, and libpq has none for an answer. Every thread of the application would wait for such a
primary, long after another has taken over.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg2
from psycopg2.extensions import connection, cursor

# Seconds between two looks.
INTERVAL = 0.25


class Watch:
    """Knows who waits for an answer, and hangs up for whoever waits too long: to libpq the server has then closed the connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[object, tuple[float, connection]] = {}
        self._looking = False
        os.register_at_fork(after_in_child=self._forget)

    @contextmanager
    def answered_within(self, seconds: float, waiting: connection) -> Iterator[None]:
        """Hang up where what is done in this context takes longer."""
        token = object()
        with self._lock:
            self._waiting[token] = (time.monotonic() + seconds, waiting)
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, name="database-stalls", daemon=True).start()
        try:
            yield
        finally:
            with self._lock:
                self._waiting.pop(token, None)

    def _look(self) -> None:
        while True:
            time.sleep(INTERVAL)
            # Under the lock: a connection whose answer has come meanwhile may serve somebody else already.
            with self._lock:
                for token, (deadline, waiting) in list(self._waiting.items()):
                    if time.monotonic() > deadline:
                        del self._waiting[token]
                        _hang_up(waiting)

    def _forget(self) -> None:
        """Begin anew in a child process: threads and connections stay with the parent."""
        self._lock, self._waiting, self._looking = threading.Lock(), {}, False


watch = Watch()


def patient_for(seconds: float) -> dict[str, Any]:
    """Arguments of psycopg2.connect for connections that wait so long for an answer."""

    class PatientCursor(cursor):
        """Waits for a statement's answer as long as its connection may."""

        def execute(self, *args: Any, **kwargs: Any) -> None:
            with watch.answered_within(seconds, self.connection):
                super().execute(*args, **kwargs)

    class PatientConnection(connection):
        """Waits for the end of a transaction no longer than for anything else."""

        def commit(self) -> None:
            with watch.answered_within(seconds, self):
                super().commit()

        def rollback(self) -> None:
            with watch.answered_within(seconds, self):
                super().rollback()

    return {"connection_factory": PatientConnection, "cursor_factory": PatientCursor}


def _hang_up(waiting: connection) -> None:
    with suppress(OSError, psycopg2.Error), socket.socket(fileno=os.dup(waiting.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)
