"""Render the templates of role nginx and run a real nginx with them, unprivileged, before a stub application."""

from __future__ import annotations

import datetime
import fcntl
import json
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import httpx
import jinja2
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "nginx"
UNPACKED = ROOT / ".cache" / "nginx"


@cache
def find_nginx() -> str | None:
    """Find the machine's nginx, or unpack Debian's package into .cache without installing it."""
    if found := shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin"):
        return found
    binary = UNPACKED / "usr/sbin/nginx"
    UNPACKED.mkdir(parents=True, exist_ok=True)
    with (UNPACKED / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not binary.exists() and shutil.which("apt-get") and shutil.which("dpkg"):
            got = subprocess.run(
                ["apt-get", "download", "-qq", "nginx"], cwd=UNPACKED, capture_output=True, timeout=60, check=False
            )
            for package in UNPACKED.glob("nginx_*.deb") if got.returncode == 0 else ():
                subprocess.run(["dpkg", "-x", package, UNPACKED], check=True, timeout=60)
    if binary.exists() and subprocess.run([binary, "-v"], capture_output=True, check=False).returncode == 0:
        return str(binary)
    return None


@cache
def knows_http2_directive(nginx: str) -> bool:
    """Whether nginx supports `http2 on` (since 1.25.1). This machine's may be older than that of the hosts."""
    output = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", output)
    return version is not None and tuple(map(int, version.groups())) >= (1, 25, 1)


def defaults() -> dict[str, Any]:
    """The role's defaults with the variables of the news application."""
    variables: dict[str, Any] = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    application = yaml.safe_load((ROOT / "inventories/applications/news.yml").read_text())
    variables |= {name: value for name, value in application.items() if name in variables}
    return variables | {
        "ansible_managed": "Written by a test.",
        "app_name": "news",
        "nginx_ipv6": False,
        "nginx_cache_size": "16m",
        "nginx_worker_connections": 1024,
        "nginx_server_name": "news.test",
        "nginx_static_dir": "/var/www/news/static",
        "nginx_exporter_address": "192.0.2.1",
        "nginx_upstream_hosts": [{"name": "app1", "address": "127.0.0.1"}],
    }


def render(template: str, **variables: Any) -> str:
    """One of the role's templates, as Ansible renders it."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROLE / "templates"),
        trim_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,
    )
    environment.filters["comment"] = lambda text: f"# {text}"
    return environment.get_template(template).render(defaults() | variables) + "\n"


def free_port() -> int:
    """A free TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def certificate() -> str:
    """A key and its self-signed certificate in PEM, as tls.pem holds them."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "news.test")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return (private + signed.public_bytes(serialization.Encoding.PEM)).decode()


class Stub(BaseHTTPRequestHandler):
    """Answer with the request's headers; the query can set status, cc (Cache-Control) and reset (close silently)."""

    protocol_version = "HTTP/1.1"
    requests: ClassVar[list[str]]

    def log_message(self, *_: Any, **__: Any) -> None:
        """Do not log."""

    def answer(self) -> None:
        """Answer any method."""
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.requests.append(f"{self.command} {self.path}")
        query = httpx.URL(self.path).params
        if "reset" in query:
            self.close_connection = True
            return
        body = json.dumps(
            {"count": len(self.requests), "headers": {name.lower(): value for name, value in self.headers.items()}}
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
        super().__init__((address, port), type("OneStub", (Stub,), {"requests": self.requests}))
        self.port: int = self.server_address[1]
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

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
    """A running nginx with the role's configuration."""

    def __init__(self, folder: Path, **variables: Any) -> None:
        self.folder = folder
        self.http, self.https, status = free_port(), free_port(), free_port()
        self.configuration = folder / "nginx.conf"
        self.access_log = folder / "log/access.log"
        for name in ("log", "cache", "static"):
            (folder / name).mkdir(exist_ok=True)
        (folder / "tls.pem").write_text(certificate())
        (folder / "mime.types").write_text("types { text/css css; }\n")
        variables = {"nginx_status_port": status} | variables
        (folder / "upstream.conf").write_text(render("upstream.conf.j2", __nginx_drained={}, **variables))
        nginx = find_nginx()
        assert nginx
        self.nginx = nginx
        text = render("nginx.conf.j2", **variables)
        # Replace only what an unprivileged user on a shared machine cannot have.
        for there, here in {
            "/etc/nginx/": f"{folder}/",
            "/run/nginx.pid": f"{folder}/nginx.pid",
            "/var/log/nginx/": f"{folder}/log/",
            "/var/cache/nginx": f"{folder}/cache",
            "/var/www/news/static": f"{folder}/static",
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
        self.configuration.write_text(text if knows_http2_directive(nginx) else text.replace("http2 on;", ""))
        self.base = [nginx, "-p", str(folder), "-e", str(folder / "log/error.log"), "-c", str(self.configuration)]

    def check(self) -> tuple[bool, str]:
        """Whether `nginx -t` accepts the configuration, and its output."""
        result = subprocess.run([*self.base, "-t"], capture_output=True, text=True, timeout=20, check=False)
        return result.returncode == 0, result.stderr

    @contextmanager
    def running(self) -> Iterator[httpx.Client]:
        """Run nginx, and return an HTTPS client that keeps no cookies and follows no redirects."""
        insecure = ssl.create_default_context()
        insecure.check_hostname, insecure.verify_mode = False, ssl.CERT_NONE
        process = subprocess.Popen(self.base, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            for _ in range(200):
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", self.https)) == 0:
                        break
                time.sleep(0.02)
            with httpx.Client(
                base_url=f"https://127.0.0.1:{self.https}", verify=insecure, timeout=10, trust_env=False
            ) as client:
                yield client
        finally:
            process.terminate()
            process.wait(timeout=10)

    def logged(self) -> list[dict[str, Any]]:
        """The entries of the access log. nginx writes them up to a second late."""
        time.sleep(1.2)
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]
