"""A real gunicorn with the role's settings, and an application with an open WebSocket."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tests.unit.roles.app_role import rendered

APPLICATION = """
def app(environ, start_response):
    if environ.get("HTTP_UPGRADE") == "websocket":
        connection = environ["gunicorn.socket"]
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\n\\r\\n")
        while connection.recv(10):
            pass
    start_response("200 OK", [])
    return []
"""


def test_a_restart_closes_an_open_websocket_and_does_not_wait_for_it(tmp_path: Path) -> None:
    port = free_port()
    variables = {"app_workers": 1, "app_domain": "shop.test", "app_health_path": "/"}
    settings = rendered("gunicorn.conf.py.j2", **variables).replace("/run/app", str(tmp_path))
    (tmp_path / "gunicorn.conf.py").write_text(f"{settings}\nbind = '127.0.0.1:{port}'\n")
    (tmp_path / "shop.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "gunicorn", "--config=gunicorn.conf.py", "shop:app"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as gunicorn:
        try:
            assert eventually(lambda: accepts_connections(port), within=20, every=0.05)
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nUpgrade: websocket\r\n\r\n")
                assert client.recv(100).startswith(b"HTTP/1.1 101")
                started = time.monotonic()
                gunicorn.terminate()
                # A close frame with status 1012 ("service restart"), and the end of the connection.
                assert [client.recv(100), client.recv(100)] == [b"\x88\x02\x03\xf4", b""]
                assert gunicorn.wait(timeout=60) == 0
        finally:
            gunicorn.kill()
    # gunicorn's own time limit for requests in flight is 25 seconds.
    assert time.monotonic() - started < 15


def test_a_worker_that_stops_opens_no_websocket(monkeypatch: pytest.MonkeyPatch) -> None:
    handlers: dict[int, Any] = {signal.SIGTERM: lambda *_: None}
    monkeypatch.setattr(signal, "getsignal", handlers.__getitem__)
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    settings: dict[str, Any] = {}
    exec(rendered("gunicorn.conf.py.j2", app_domain="shop.test", app_health_path="/"), settings)  # as gunicorn does
    worker = SimpleNamespace(wsgi=lambda *_: [b"opened"])
    settings["__close_websockets_at_a_stop"](worker)
    statuses: list[str] = []

    def request(connection: socket.socket, upgrade: str) -> Any:
        environ = {"HTTP_UPGRADE": upgrade, "gunicorn.socket": connection}
        return worker.wsgi(environ, lambda status, _headers: statuses.append(status))

    with socket.socket() as first, socket.socket() as second:
        assert request(first, "websocket") == [b"opened"]
        handlers[signal.SIGTERM]()
        assert request(second, "websocket") == []
        assert request(second, "") == [b"opened"]
    assert statuses == ["503 Service Unavailable"]
