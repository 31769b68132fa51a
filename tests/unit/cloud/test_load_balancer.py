import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from unittest.mock import ANY
from urllib.request import ProxyHandler, build_opener

import pytest

from tests.support.cloud.listeners import Check, Listener, Target
from tests.support.cloud.load_balancer import Health, LoadBalancer, update_health
from tests.support.live.fleet import eventually
from tests.support.sockets import free_port

CHECK = Check("traffic-port", "/lb-health", interval=0.05, timeout=1, rise=2, fall=2)


class Backend(ThreadingHTTPServer):
    """Answers with its name. Its health check succeeds while `healthy`."""

    def __init__(self, name: str) -> None:
        backend = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                bad = self.path == "/lb-health" and not backend.healthy
                self.send_response(503 if bad else 200)
                self.end_headers()
                self.wfile.write(name.encode())

        self.healthy = True
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def target(self) -> Target:
        return Target("127.0.0.1", self.server_address[1])


@pytest.fixture
def backends() -> Iterator[tuple[Backend, Backend]]:
    pair = (Backend("one"), Backend("two"))
    yield pair
    for backend in pair:
        backend.shutdown()
        backend.server_close()


@pytest.fixture
def load_balancer() -> Iterator[LoadBalancer]:
    load_balancer = LoadBalancer()
    load_balancer.address = "127.0.0.1"
    yield load_balancer
    load_balancer.close()


def names(port: int, count: int = 6) -> set[str]:
    """Return the names of the backends that answered `count` connections."""
    direct = build_opener(ProxyHandler({}))
    try:
        return {direct.open(f"http://127.0.0.1:{port}/", timeout=5).read().decode() for _ in range(count)}
    except OSError:  # closed, because no target is healthy yet
        return set()


def test_connections_go_to_every_healthy_target_in_turn_and_to_no_other(
    load_balancer: LoadBalancer, backends: tuple[Backend, Backend]
) -> None:
    port = free_port()
    load_balancer.serve([Listener(port, CHECK, frozenset(backend.target for backend in backends))])
    assert eventually(lambda: names(port) == {"one", "two"}, within=5)
    backends[1].healthy = False
    assert eventually(lambda: names(port) == {"one"}, within=5)
    backends[1].healthy = True
    assert eventually(lambda: names(port) == {"one", "two"}, within=5)


def test_a_removed_listener_is_closed(load_balancer: LoadBalancer, backends: tuple[Backend, Backend]) -> None:
    port = free_port()
    load_balancer.serve([Listener(port, CHECK, frozenset({backends[0].target}))])
    assert eventually(lambda: names(port) == {"one"}, within=5)
    load_balancer.serve([])
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", port), timeout=2)


@pytest.mark.parametrize(
    ("checks", "healthy"),
    [
        pytest.param([True], True, id="first success"),
        pytest.param([False], False, id="first failure"),
        pytest.param([True, False], True, id="fewer failures than the group configures"),
        pytest.param([True, False, False], False, id="as many failures as the group configures"),
        pytest.param([True, False, True, False], True, id="a success resets the counter"),
    ],
)
def test_a_targets_health_follows_its_checks(checks: list[bool], healthy: bool) -> None:
    health: Health | None = None
    for passed in checks:
        health = update_health(health, passed, CHECK)
    assert health == Health(healthy, streak=ANY)
