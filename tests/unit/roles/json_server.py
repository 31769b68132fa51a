"""A small HTTP server in place of etcd and Patroni. A function of the request computes its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Request(NamedTuple):
    """A request: the local address that received it, its path, its JSON body if any, and its credentials."""

    host: str
    path: str
    body: Any
    login: str


@contextmanager
def answering(answer: Callable[[Request], tuple[int, Any]]) -> Iterator[int]:
    """Answer with status and JSON on all of 127.0.0.0/8. Yields the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            host = self.headers["Host"].partition(":")[0]
            status, content = answer(Request(host, self.path, body, self.headers.get("Authorization", "")))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: Any) -> None:
            """Do not log."""

    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()
