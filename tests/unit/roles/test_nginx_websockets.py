"""WebSockets through a real nginx with the role's templates. The stub returns what it gets."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.support.live.fleet import eventually
from tests.unit.roles.nginx_server import Application, MakeSite, Site


@contextmanager
def opened(site: Site, path: str = "/") -> Iterator[tuple[ssl.SSLSocket, str]]:
    """Ask for a WebSocket. Return the connection and the answer's status line."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    headers = "Host: news.test\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n"
    with (
        socket.create_connection(("127.0.0.1", site.https), timeout=5) as plain,
        context.wrap_socket(plain) as connection,
    ):
        connection.sendall(f"GET {path} HTTP/1.1\r\n{headers}".encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += connection.recv(1)
        yield connection, answer.decode().splitlines()[0]


def test_websockets_are_passed_on_beside_each_other_and_outlive_the_time_limit_of_requests(
    make_site: MakeSite, application: Application
) -> None:
    site = make_site(nginx_read_timeout=1, nginx_websocket_timeout=30)
    with site.running() as client:
        with opened(site) as (first, status), opened(site) as (second, other):
            assert (status, other) == ("HTTP/1.1 101 Switching Protocols",) * 2
            time.sleep(1.5)
            for connection in (first, second):
                connection.sendall(b"ping")
                assert connection.recv(10) == b"ping"
            assert client.get("/").status_code == 200
        # nginx logs a WebSocket when it notices that it was closed, and writes its log every second.
        assert eventually(lambda: [entry["status"] for entry in site.logged()].count(101) == 2, within=5)
    assert application.requests == ["GET /"] * 3


def test_a_silent_websocket_is_closed(make_site: MakeSite) -> None:
    site = make_site(nginx_websocket_timeout=1)
    with site.running(), opened(site) as (connection, _):
        assert connection.recv(10) == b""


def test_a_cached_page_does_not_answer_a_websocket(make_site: MakeSite) -> None:
    site = make_site()
    with site.running() as client:
        for expected in ("MISS", "HIT"):
            assert client.get("/?cc=s-maxage=30").headers["X-Proxy-Cache"] == expected
        with opened(site, "/?cc=s-maxage=30") as (_, status):
            assert status.startswith("HTTP/1.1 101")


def test_a_websocket_does_not_reach_private_paths(make_site: MakeSite, application: Application) -> None:
    site = make_site()
    with site.running(), opened(site, "/metrics") as (_, status):
        assert status.startswith("HTTP/1.1 404")
    assert not application.requests


@pytest.mark.parametrize(("method", "upgrade"), [("GET", None), ("GET", "h2c"), ("POST", "websocket")])
def test_other_requests_reach_the_application_without_an_upgrade(
    client: httpx.Client, method: str, upgrade: str | None
) -> None:
    headers = {"Connection": "Upgrade", "Upgrade": upgrade} if upgrade else {"Connection": "keep-alive"}
    seen = client.request(method, "/", headers=headers).json()["headers"]
    assert not {"upgrade", "connection"} & seen.keys()
