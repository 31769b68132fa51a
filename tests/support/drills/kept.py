"""Requests that are under way while the virtual address moves: half of each is sent before, the other half afterwards."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from tests.support.drills import faults

if TYPE_CHECKING:
    from tests.support.drills.arena import Arena

CONNECTIONS = 20
BEGUN, REST = b"GET /api/v1/articles?limit=5 HTTP/1.1\r\nHost: {host}\r\n", b"Connection: close\r\n\r\n"
# Seconds that a half-sent request is left alone after the move.
PAUSE = 1.0


@contextmanager
def moved_by_plan(arena: Arena) -> Iterator[dict[str, float]]:
    """Stop keepalived where the address is; the figures say how many of the requests that were under way got no answer."""
    holder = arena.leader("vip")
    with ExitStack() as stack:
        half_sent = [stack.enter_context(_begun(arena.fleet.vip)) for _ in range(CONNECTIONS)]
        with faults.stopped(arena.fleet, [holder], "keepalived"):
            time.sleep(PAUSE)
            yield {"cut": float(sum(not _finished(connection) for connection in half_sent))}


@contextmanager
def _begun(address: str) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, 443), timeout=5) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(BEGUN.replace(b"{host}", address.encode()))
        yield connection


def _finished(connection: ssl.SSLSocket) -> bool:
    try:
        connection.sendall(REST)
        return connection.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
