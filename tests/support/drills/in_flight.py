"""Requests in flight while the virtual address moves: the first half is sent before the move, the rest after it."""

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.support.drills import faults
from tests.support.drills.runner import DrillRunner

CONNECTIONS = 20
FIRST_HALF, SECOND_HALF = b"GET /api/v1/articles?limit=5 HTTP/1.1\r\nHost: {host}\r\n", b"Connection: close\r\n\r\n"
# Seconds between the move and the second half of a request.
PAUSE = 1.0


@contextmanager
def planned_move(runner: DrillRunner) -> Iterator[dict[str, float]]:
    """Stop keepalived on the host with the address, and count the requests in flight that get no answer."""
    holder = runner.leader("vip")
    with ExitStack() as stack:
        half_sent = [stack.enter_context(_half_sent(runner.fleet.vip)) for _ in range(CONNECTIONS)]
        with faults.stopped(runner.fleet, [holder], "keepalived"):
            time.sleep(PAUSE)
            yield {"cut": float(sum(not _finished(connection) for connection in half_sent))}


@contextmanager
def _half_sent(address: str) -> Iterator[ssl.SSLSocket]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((address, 443), timeout=5) as plain, context.wrap_socket(plain) as connection:
        connection.sendall(FIRST_HALF.replace(b"{host}", address.encode()))
        yield connection


def _finished(connection: ssl.SSLSocket) -> bool:
    try:
        connection.sendall(SECOND_HALF)
        return connection.recv(64).startswith(b"HTTP/1.1 200 ")
    except OSError:
        return False
