"""A small HTTP server in place of an application, etcd or Patroni: a function of the request computes its answers."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import make_server


@contextmanager
def answering(
    answer: Callable[[Request], tuple[int, Any]], address: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Answer with status and JSON. Yields the port."""

    @Request.application
    def application(request: Request) -> Response:
        status, content = answer(request)
        return Response(json.dumps(content), status, content_type="application/json")

    server = make_server(address, 0, application, threaded=True, ssl_context=tls)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()


def certify(folder: Path, name: str = "IP:127.0.0.1") -> ssl.SSLContext:
    """Write a certificate for a name, its own CA. Return a server's context that requires it."""
    options = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -days 1 -subj /O=flaskfleet"
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")]
    words = [*options.split(), "-addext", f"subjectAltName={name}", *files]
    subprocess.run(["openssl", "req", "-x509", *words], check=True, capture_output=True)
    (folder / "ca.pem").write_text((folder / "cert.pem").read_text())
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder / "ca.pem"))
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


class Etcd:
    """The part of etcd's JSON API that this project uses. Keys and values stay encoded."""

    def __init__(self) -> None:
        self.data: dict[str, str] = {}
        self.leases: list[str] = []

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Return the JSON for a request."""
        match path:
            case "/v3/lease/grant":
                self.leases.append(str(len(self.leases) + 1))
                return {"ID": self.leases[-1]}
            case "/v3/lease/keepalive":
                return {"result": {"ID": body["ID"], "TTL": "6"} if body["ID"] in self.leases else {"ID": body["ID"]}}
            case "/v3/kv/range":
                first, end = b64decode(body["key"]), b64decode(body.get("range_end", ""))
                keys = [key for key in self.data if first <= b64decode(key) < (end or first + b"\0")]
                return {"kvs": [{"key": key, "value": self.data[key]} for key in keys]} if keys else {}
            case "/v3/kv/txn":
                if any(self.data.get(compared["key"]) != compared.get("value") for compared in body["compare"]):
                    return {}
                (then,) = body["success"]
                if put := then.get("request_put"):
                    self.data[put["key"]] = put["value"]
                else:
                    del self.data[then["request_delete_range"]["key"]]
                return {"succeeded": True}
            case "/v3/kv/deleterange":
                del self.data[body["key"]]
        return {}
