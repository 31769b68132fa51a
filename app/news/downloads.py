"""Fetching what somebody else serves: bounded in size and time, and never from an address inside of the fleet's own network."""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from pathlib import Path
from urllib.parse import urljoin, urlsplit
from urllib.request import url2pathname

MOST_BYTES = 5 * 1024 * 1024
MOST_REDIRECTS = 5
# Seconds that one answer may stop, and that all of it may take.
PAUSE_TIMEOUT = 10.0
WHOLE_TIMEOUT = 30.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}


class DownloadError(Exception):
    """What cannot be fetched; the message says why."""


def fetch(source: str, *, allow_private: bool = False) -> bytes:
    """Return what is at an http, https or file URL, or in a file."""
    parts = urlsplit(source)
    if parts.scheme in _PORTS:
        return _fetch_url(source, allow_private)
    if parts.scheme not in {"", "file"} or parts.netloc:
        raise DownloadError(f"{source} is neither a file nor a URL of http, https or file:///")
    return _read_file(Path(url2pathname(parts.path) if parts.scheme else source))


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise DownloadError(f"{path}: {error.strerror}") from error
    return _bounded(content, str(path))


def _fetch_url(url: str, allow_private: bool) -> bytes:
    deadline = time.monotonic() + WHOLE_TIMEOUT
    for _ in range(MOST_REDIRECTS + 1):
        connection = _connect(url, allow_private)
        try:
            answer = _ask(connection, url)
            if answer.status not in _REDIRECTS:
                return _read(answer, url, deadline)
            target = urljoin(url, answer.headers.get("Location", ""))
        except (OSError, http.client.HTTPException) as error:
            raise DownloadError(f"{url}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if urlsplit(target).scheme not in _PORTS:
            raise DownloadError(f"{url} leads to {target}, which is no URL of http or https")
        url = target
    raise DownloadError(f"{url} redirects more than {MOST_REDIRECTS} times")


def _ask(connection: http.client.HTTPConnection, url: str) -> http.client.HTTPResponse:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # No compression: a small answer must not become a large one.
    connection.request("GET", path, headers={"User-Agent": "flaskfleet-news", "Accept-Encoding": "identity"})
    return connection.getresponse()


def _read(answer: http.client.HTTPResponse, url: str, deadline: float) -> bytes:
    if answer.status != 200:
        raise DownloadError(f"{url} answers {answer.status} {answer.reason}")
    content = b""
    while block := answer.read1(65536):
        content += block
        _bounded(content, url)
        if time.monotonic() > deadline:
            raise DownloadError(f"{url} takes longer than {WHOLE_TIMEOUT:.0f} seconds")
    return content


def _bounded(content: bytes, source: str) -> bytes:
    if len(content) > MOST_BYTES:
        raise DownloadError(f"{source} has more than {MOST_BYTES // 1024 // 1024} MB")
    return content


def _connect(url: str, allow_private: bool) -> http.client.HTTPConnection:
    """Connect to the address that was looked at: asked a second time a name may have another one."""
    parts = urlsplit(url)
    try:
        host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
        connection = http.client.HTTPConnection(host, port, timeout=PAUSE_TIMEOUT)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise DownloadError(f"{url}: {error}") from error
    addresses = [str(address[0]) for *_, address in found]
    if not allow_private and (private := [address for address in addresses if not _is_public(address)]):
        raise DownloadError(
            f"{url} is at {private[0]}, which is not an address of the public network; see --allow-private"
        )
    try:
        connection.sock = socket.create_connection((addresses[0], port), timeout=PAUSE_TIMEOUT)
        if parts.scheme == "https":
            connection.sock = ssl.create_default_context().wrap_socket(connection.sock, server_hostname=host)
    except OSError as error:
        connection.close()
        raise DownloadError(f"{url}: {error}") from error
    return connection


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found).is_global and not found.is_multicast
