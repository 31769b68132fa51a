"""A small HTTP server in place of an application, etcd and Patroni. A function of the request computes its answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from werkzeug import Request, Response
from werkzeug.serving import make_server

Answer = Callable[[Request], tuple[int, Any]]


@contextmanager
def answering(answer: Answer, address: str = "127.0.0.1") -> Iterator[int]:
    """Answer with status and JSON. Yields the port."""

    @Request.application
    def application(request: Request) -> Response:
        status, content = answer(request)
        return Response(json.dumps(content), status)

    server = make_server(address, 0, application, threaded=True)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
