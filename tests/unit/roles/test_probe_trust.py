"""With a CA, the probe of the site trusts the CAs of Debian, and the self-signed certificate until there is another."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from plugins.certificates import tls_pair
from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tests.unit.roles.modules import render
from tests.unit.roles.programs import find_program

TRUSTED, OTHER = tls_pair("127.0.0.1"), tls_pair("127.0.0.1")


class Page(BaseHTTPRequestHandler):
    """A site."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Do not log."""


@contextmanager
def served(folder: Path, pair: tuple[str, str]) -> Iterator[str]:
    """Run a site with a certificate, and return its URL."""
    (folder / "pair.pem").write_text("".join(pair))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"https://127.0.0.1:{server.server_port}/"
        server.shutdown()


@contextmanager
def exporter(folder: Path) -> Iterator[str]:
    """Run the exporter as the role configures it, and return its URL."""
    program = find_program("prometheus-blackbox-exporter", "--version", "prometheus-blackbox-exporter")
    if not program:
        pytest.skip("the blackbox exporter is not installed, and its Debian package cannot be downloaded")
    variables: dict[str, Any] = {"prometheus_probe_ca": TRUSTED[1], "prometheus_probe_system_cas": True}
    variables["__prometheus_has_certificate"] = False
    (folder / "blackbox.yml").write_text(
        render("prometheus", "blackbox.yml.j2", prometheus_scrape_interval=5, **variables)
    )
    (folder / "ca").mkdir()
    (folder / "ca/ca.pem").write_text(TRUSTED[1])
    settings = render("prometheus", "blackbox.default.j2", **variables).replace(
        "/etc/prometheus/probe-ca", f"{folder}/ca"
    )
    lines = [line for line in settings.splitlines() if line.startswith("SSL_CERT_DIR=")]
    assert len(lines) == 1
    port = free_port()
    command = [program, f"--config.file={folder}/blackbox.yml", f"--web.listen-address=127.0.0.1:{port}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("SSL_CERT")}
    environment |= dict(line.split("=", 1) for line in lines)
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            assert eventually(lambda: accepts_connections(port), within=60)
            yield f"http://127.0.0.1:{port}/probe"
        finally:
            process.terminate()


def test_with_a_ca_the_probe_trusts_the_self_signed_certificate_and_no_other(tmp_path: Path) -> None:
    with exporter(tmp_path) as probe:
        for pair, expected in ((TRUSTED, 1), (OTHER, 0)):
            with served(tmp_path, pair) as site:
                parameters = {"module": "site", "target": site}
                text = httpx.get(probe, params=parameters, trust_env=False, timeout=30).text
                assert f"probe_success {expected}\n" in text
