"""Requests to the JSON interface of etcd, from the host of a member."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from contextlib import closing
from pathlib import Path
from typing import Any

# What this member serves. Role etcd writes it.
SETTINGS = Path("/etc/systemd/system/etcd.service.d/fleet.conf")
TLS = Path("/etc/fleet-tls")
PORT = 2379


def served() -> list[str]:
    """Return the schemes that this host's member serves to clients, TLS first; plain text for a host without one.

    A fleet changes from one to the other member by member, and meanwhile all of them serve both.
    """
    text = SETTINGS.read_text() if SETTINGS.exists() else ""
    listening = re.search(r"^Environment=ETCD_LISTEN_CLIENT_URLS=(.*)$", text, re.MULTILINE)
    found = set(re.findall(r"(https?)://", listening[1] if listening else ""))
    return sorted(found, reverse=True) or ["http"]


def connect(scheme: str, address: str, port: int, timeout: float) -> http.client.HTTPConnection:
    """Return a connection that is not open yet. With TLS it verifies the member, and shows this host's certificate."""
    if scheme == "http":
        return http.client.HTTPConnection(address, port, timeout=timeout)
    context = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
    context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    return http.client.HTTPSConnection(address, port, timeout=timeout, context=context)


def request(
    scheme: str, address: str, path: str, body: dict[str, Any] | None, port: int, timeout: float
) -> tuple[int, dict[str, Any]]:
    """Send one request with one scheme; see call()."""
    with closing(connect(scheme, address, port, timeout)) as connection:
        connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body))
        response = connection.getresponse()
        return response.status, json.loads(response.read() or "{}")


def call(
    address: str, path: str, body: dict[str, Any] | None = None, port: int = PORT, timeout: float = 5
) -> tuple[int, dict[str, Any]]:
    """Return the status and JSON of a response. Without a body it is a GET.

    A member that does not serve TLS yet is asked in plain text, but only while this host's member serves that too.

    Raises:
        OSError: there is no answer, or its certificate is not verified.
        ValueError, http.client.HTTPException: the answer is no HTTP, or has no JSON.
    """
    schemes = served()
    for scheme in schemes[:-1]:
        try:
            return request(scheme, address, path, body, port, timeout)
        except (TimeoutError, ssl.SSLCertVerificationError):
            raise
        except (OSError, http.client.HTTPException):
            continue
    return request(schemes[-1], address, path, body, port, timeout)
