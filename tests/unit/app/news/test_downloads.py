"""Downloads of feeds: limits of size and time, and no private addresses."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from app.news import downloads
from app.news.downloads import DownloadError

FEED = b"<rss/>"
REDIRECTS = {"/loop": "/loop", "/to-file": "file:///etc/passwd", "/to-feed": "feed.xml"}


class Handler(BaseHTTPRequestHandler):
    """Serves a feed, and misbehaves on some paths."""

    def do_GET(self) -> None:
        """Answer by path."""
        path = self.path.partition("?")[0]
        if path == "/slow-headers":
            self.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            with suppress(OSError):
                for _ in range(50):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
            return
        self.send_response(302 if path in REDIRECTS else 404 if path == "/missing" else 200)
        if path in REDIRECTS:
            self.send_header("Location", REDIRECTS[path])
        self.end_headers()
        if path == "/endless":
            with suppress(OSError):
                while True:
                    self.wfile.write(b"x" * 65536)
        elif path == "/slow":
            with suppress(OSError):
                for _ in range(50):
                    self.wfile.write(b"x")
                    time.sleep(0.05)
        else:
            self.wfile.write(FEED)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    listening = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield f"http://127.0.0.1:{listening.server_port}"
    listening.shutdown()
    thread.join()
    listening.server_close()


def test_a_download_follows_redirects(server: str) -> None:
    assert downloads.fetch(f"{server}/feed.xml?a=b", allow_private=True) == FEED
    assert downloads.fetch(f"{server}/to-feed", allow_private=True) == FEED


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/missing", "answers 404"),
        ("/loop", "redirects more than"),
        ("/to-file", "not a URL of http"),
        ("/endless", "has more than 5 MB"),
    ],
)
def test_a_download_from_a_misbehaving_server_fails(server: str, path: str, reason: str) -> None:
    with pytest.raises(DownloadError, match=reason):
        downloads.fetch(server + path, allow_private=True)


def test_a_slow_download_fails_after_the_total_timeout(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "TOTAL_TIMEOUT", 0.3)
    for path in ("/slow", "/slow-headers"):
        started = time.monotonic()
        with pytest.raises(DownloadError, match="takes longer"):
            downloads.fetch(server + path, allow_private=True)
        assert time.monotonic() - started < 1.5, "the limit does not include the headers"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:10.1.2.3",
        "::10.1.2.3",
        "64:ff9b::10.1.2.3",
        "64:ff9b::169.254.169.254",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:a01:2:300::",
        "2002:a01:203::1",
        "2001:0:808:808:0:0:f5fe:fdfc",
    ],
)
def test_private_addresses_are_refused(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [(family, socket.SOCK_STREAM, 6, "", (address, 80))])
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("connected"))
    with pytest.raises(DownloadError, match="not a public address"):
        downloads.fetch("http://harmless.example/feed.xml")


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2a00:1450:4001:800::200e"]
)
def test_public_addresses_are_accepted(address: str) -> None:
    assert downloads._is_public(address)


def test_a_redirect_to_a_private_address_is_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    checked: list[str] = []

    def is_public(address: str) -> bool:
        checked.append(address)
        return len(checked) == 1

    monkeypatch.setattr(downloads, "_is_public", is_public)
    with pytest.raises(DownloadError, match="not a public address"):
        downloads.fetch(f"{server}/to-feed")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("ftp://news.example/feed", "neither a file nor a URL"),
        ("javascript:alert(1)", "neither a file nor a URL"),
        ("file://host/feed", "neither a file nor a URL"),
        ("http://", "http://"),
        ("http://news.example:99999/", "Port out of range|port"),
        ("http://a\nb/", "a"),
        ("/no/such/file", "No such file"),
    ],
)
def test_an_impossible_download_is_reported(source: str, reason: str) -> None:
    with pytest.raises(DownloadError, match=reason):
        downloads.fetch(source)
