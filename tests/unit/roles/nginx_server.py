"""Render the templates of role nginx and run a real nginx with them, unprivileged, before a stub application."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from jinja2 import Environment

from plugins.certificates import tls_pair
from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tests.unit.roles import modules
from tests.unit.roles.modules import read_yaml
from tests.unit.roles.programs import find_program


def find_nginx() -> str:
    """Return a program that runs the role's configuration; empty if there is none."""
    return find_program("nginx", "-v", "nginx")


@cache
def knows_http2_directive(nginx: str) -> bool:
    """Whether nginx supports `http2 on` (since 1.25.1). This machine's may be older than that of the hosts."""
    output = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", output)
    return version is not None and tuple(map(int, version.groups())) >= (1, 25, 1)


def render(template: str, **variables: Any) -> str:
    """Return one of the role's templates with its defaults and the variables of the news application."""
    defaults = read_yaml("roles/nginx/defaults/main.yml")
    application = read_yaml("inventories/applications/news.yml")
    defaults |= {name: value for name, value in application.items() if name in defaults}
    given = {
        "app_name": "news",
        "nginx_ipv6": False,
        "nginx_cache_size": "16m",
        "nginx_worker_connections": 1024,
        "nginx_private_paths": ["/metrics", "/readyz", "/livez"],
        "nginx_server_name": "news.test",
        "nginx_static_dir": "/var/www/news/static",
        "nginx_exporter_address": "192.0.2.1",
        "__nginx_maintenance": {},
        "nginx_upstream_hosts": [{"name": "app1", "address": "127.0.0.1"}],
    }
    values = defaults | given | variables
    # A default that is a template itself.
    timeout = Environment().from_string(str(values["nginx_read_timeout"]))
    return modules.render("nginx", template, **(values | {"nginx_read_timeout": timeout.render(values)}))


class Stub(BaseHTTPRequestHandler):
    """Answer with the request's headers.

    The query can set status, cc (Cache-Control), reset (close silently) and seconds (until the answer).
    """

    protocol_version = "HTTP/1.1"
    server: Application

    def log_message(self, *_: Any, **__: Any) -> None:
        """Do not log."""

    def echo(self) -> None:
        """Accept a WebSocket, and return what comes. nginx does not look into its frames."""
        self.send_response(101)
        for name in ("Upgrade", "Connection"):
            self.send_header(name, self.headers[name])
        self.end_headers()
        while received := self.connection.recv(100):
            self.wfile.write(received)
        self.close_connection = True

    def answer(self) -> None:
        """Answer any method."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.requests.append(f"{self.command} {self.path}")
        query = httpx.URL(self.path).params
        if self.headers.get("Upgrade") == "websocket":
            self.echo()
            return
        if "reset" in query:
            self.close_connection = True
            return
        time.sleep(float(query.get("seconds", 0)))
        body = json.dumps(
            {
                "count": len(self.server.requests),
                "headers": {name.lower(): value for name, value in self.headers.items()},
            }
        ).encode()
        self.send_response(int(query.get("status", 200)))
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.send_header("X-Request-Id", "the application's")
        if "cc" in query:
            self.send_header("Cache-Control", query["cc"])
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
    setattr(Stub, f"do_{method}", Stub.answer)


class Application(ThreadingHTTPServer):
    """A stub application on its own port. `requests` lists the requests that reached it."""

    daemon_threads = True

    def __init__(self, address: str = "127.0.0.1", port: int = 0) -> None:
        self.requests: list[str] = []
        self.connections: list[socket.socket] = []
        super().__init__((address, port), Stub)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self) -> tuple[socket.socket, Any]:
        """Record the connection, for `stop`."""
        connection, address = super().get_request()
        self.connections.append(connection)
        return connection, address

    def stop(self) -> None:
        """Accept no new connections, and close the existing ones."""
        self.shutdown()
        self.server_close()
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Site:
    """A running nginx with the role's configuration.

    Args:
        folder: All of its files are here.
        peer: The port at which it asks its peers.
        variables: Those of the role.
    """

    def __init__(self, folder: Path, peer: int = 80, **variables: Any) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.http, self.https, status = free_port(), free_port(), free_port()
        configuration, nginx = folder / "nginx.conf", find_nginx()
        for name in ("log", "cache", "static", "acme"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "hsts.conf").write_text('map $host $hsts { default ""; }')
        (folder / "tls.pem").write_text("".join(tls_pair("news.test")))
        (folder / "mime.types").write_text("types { text/css css; }\n")
        variables = {"nginx_status_port": status} | variables
        encrypts = bool(variables.get("nginx_upstream_tls_port"))
        upstream = render("upstream.conf.j2", __nginx_drained={}, __nginx_encrypts=encrypts, **variables)
        (folder / "upstream.conf").write_text(upstream)
        (folder / "maintenance.conf").write_text(render("maintenance.conf.j2", **variables))
        text = render("nginx.conf.j2", **variables)
        # Replace only what an unprivileged user on a shared machine cannot have.
        for there, here in {
            "/etc/nginx/": f"{folder}/",
            "/etc/fleet-tls/": f"{folder}/fleet-tls/",
            "/run/nginx.pid": f"{folder}/nginx.pid",
            "/var/log/nginx/": f"{folder}/log/",
            "unix:/run/": "unix:",
            "/var/cache/nginx": f"{folder}/cache",
            "/var/www/news/static": f"{folder}/static",
            "/var/www/acme": f"{folder}/acme",
            ":80 max_fails=0;": f":{peer} max_fails=0;",
            "listen 80 ": f"listen 127.0.0.1:{self.http} ",
            "listen 443 ": f"listen 127.0.0.1:{self.https} ",
            "listen [::]:80 ": f"listen [::1]:{self.http} ",
            "listen [::]:443 ": f"listen [::1]:{self.https} ",
            "user www-data;": "daemon off;\nmaster_process off;",
        }.items():
            text = text.replace(there, here)
        paths = "".join(
            f"    {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        text = text.replace("http {\n", f"http {{\n{paths}", 1)
        configuration.write_text(text if knows_http2_directive(nginx) else text.replace("http2 on;", ""))
        (unit,) = re.findall("^ExecStart=(.*)$", render("nginx-errors.service.j2", **variables), re.MULTILINE)
        self.secrets = shlex.split(unit.replace("%%", "%"))[1:]
        self.base = [nginx, "-p", str(folder), "-e", str(folder / "log/error.log"), "-c", str(configuration)]

    def check(self) -> tuple[bool, str]:
        """Whether `nginx -t` accepts the configuration, and its output."""
        result = subprocess.run([*self.base, "-t"], capture_output=True, text=True, timeout=20, check=False)
        return result.returncode == 0, result.stderr

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Run nginx, and return an HTTPS client that keeps no cookies and follows no redirects."""
        with (
            self.filtered_errors(),
            subprocess.Popen(
                self.base, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process,
        ):
            try:
                assert eventually(lambda: accepts_connections(self.https), within=20, every=0.02), self.errors()
                base = f"https://127.0.0.1:{self.https}"
                with httpx.Client(base_url=base, verify=False, timeout=10, trust_env=False) as client:
                    yield client
            finally:
                process.terminate()

    @contextmanager
    def filtered_errors(self) -> Iterator[None]:
        """Run the filter of the error log like systemd does, with a socket as descriptor 3."""
        (self.folder / "nginx-errors.sock").unlink(missing_ok=True)
        program = [sys.executable, "-I", str(modules.ROLES / "nginx/files/nginx_errors.py"), *self.secrets]
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as messages,
            (self.folder / "log/errors").open("w") as out,
        ):
            # Relative, because the path of a socket may have 107 characters only.
            with chdir(self.folder):
                messages.bind("nginx-errors.sock")
            rename = "import os, sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])"
            passed = [sys.executable, "-Ic", rename, str(messages.fileno()), *program]
            with subprocess.Popen(passed, stdout=out, pass_fds=[messages.fileno()]) as process:
                try:
                    yield
                finally:
                    process.terminate()

    def errors(self) -> str:
        """The error log as the journal gets it."""
        return (self.folder / "log/errors").read_text()

    def logged(self) -> list[dict[str, Any]]:
        """The entries of the access log. nginx writes the last ones when it ends."""
        return [json.loads(line) for line in (self.folder / "log/access.log").read_text().splitlines()]


MakeSite = Callable[..., Site]
