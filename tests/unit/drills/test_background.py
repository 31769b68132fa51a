"""A background load has started when the test continues."""

import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.support.drills.background import running
from tests.support.drills.load import Plan


class Server(BaseHTTPRequestHandler):
    """A server that answers everything with 200."""

    def do_GET(self) -> None:
        """Answer with 200."""
        self.send_response(200)
        self.end_headers()


def test_the_first_request_was_answered_when_the_context_is_entered(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        plan = Plan(f"http://127.0.0.1:{server.server_port}", "run", "key", "session=x", [1], {"read": 20.0}, 30.0)
        with running(plan, tmp_path) as records:
            entered = time.time()
            assert records == []
        server.shutdown()
    assert min(record["end"] for record in records) <= entered
    assert {record["status"] for record in records} == {200}
