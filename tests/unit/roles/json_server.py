"""A small HTTP server that stands for etcd and Patroni: what it answers is a function of what it is asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request: by which address of this machine it came, its path, its JSON if it has some, and who sent it."""

    host: str
    path: str
    body: Any
    login: str


@contextmanager
def answering(answer: Callable[[Asked], tuple[int, Any]]) -> Iterator[int]:
    """Serve on all of 127.0.0.0/8, with status and JSON; the port is yielded."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            host = self.headers["Host"].partition(":")[0]
            status, content = answer(Asked(host, self.path, body, self.headers.get("Authorization", "")))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server.server_port
        server.shutdown()
