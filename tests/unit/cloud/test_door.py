from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import urlopen

import pytest

from tests.support.cloud.balancers import Check, Listener, Target
from tests.support.cloud.door import Door, Health, judged
from tests.support.live.fleet import eventually

CHECK = Check("traffic-port", "/lb-health", interval=0.05, timeout=1, rise=2, fall=2)


class Backend(ThreadingHTTPServer):
    """Says its name; its health check succeeds while `well`."""

    def __init__(self, name: str) -> None:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                bad = self.path == "/lb-health" and not backend.well
                self.send_response(503 if bad else 200)
                self.end_headers()
                self.wfile.write(name.encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.well = True
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.server_address[1])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    pair = (Backend("one"), Backend("two"))
    yield pair
    for backend in pair:
        backend.shutdown()
        backend.server_close()


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()
    door.open_at("127.0.0.1")
    yield door
    door.close()


def answers(port: int, count: int = 6) -> set[str]:
    """Who has answered `count` connections, one after another."""
    try:
        return {urlopen(f"http://127.0.0.1:{port}/", timeout=5).read().decode() for _ in range(count)}
    except OSError:  # closed, since no target is known to be well yet
        return set()


def test_connections_go_to_every_healthy_target_in_turn(door: Door, backends: tuple[Backend, Backend]) -> None:
    port = free_port()
    door.serve([Listener(port, CHECK, frozenset(backend.target for backend in backends))])
    assert eventually(lambda: answers(port) == {"one", "two"}, within=5)


def test_a_target_that_fails_its_check_gets_nothing_until_it_is_well(
    door: Door, backends: tuple[Backend, Backend]
) -> None:
    port = free_port()
    door.serve([Listener(port, CHECK, frozenset(backend.target for backend in backends))])
    assert eventually(lambda: answers(port) == {"one", "two"}, within=5)
    backends[1].well = False
    assert eventually(lambda: answers(port) == {"one"}, within=5)
    backends[1].well = True
    assert eventually(lambda: answers(port) == {"one", "two"}, within=5)


def test_a_port_that_is_not_wanted_any_more_is_closed(door: Door, backends: tuple[Backend, Backend]) -> None:
    port = free_port()
    door.serve([Listener(port, CHECK, frozenset({backends[0].target}))])
    assert eventually(lambda: answers(port) == {"one"}, within=5)
    door.serve([])
    time.sleep(0.1)
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=2)


def test_a_new_target_is_healthy_after_its_first_success() -> None:
    assert judged(Health(), True, CHECK).healthy
    assert not judged(Health(), False, CHECK).healthy


def test_later_it_takes_as_many_checks_as_the_group_says() -> None:
    well = judged(Health(), True, CHECK)
    once = judged(well, False, CHECK)
    assert once.healthy
    assert judged(judged(once, True, CHECK), False, CHECK).healthy, "a success in between starts the count again"
    assert not judged(once, False, CHECK).healthy
