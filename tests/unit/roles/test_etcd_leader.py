"""Where etcd's leader goes, and when it stays: the program against a server that answers as etcd and Patroni do."""

from __future__ import annotations

import importlib.util
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles/postgres/files/etcd_leader_elsewhere.py"
spec = importlib.util.spec_from_file_location("etcd_leader_elsewhere", PROGRAM)
assert spec
assert spec.loader
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)


class Cluster:
    """Three members by id; addresses other than the server's own answer as well, since all of 127.0.0.0/8 is this machine."""

    def __init__(self) -> None:
        self.leader = "1"
        self.primary = False
        self.ill: set[str] = set()
        self.moved_to: list[str] = []
        self.port = 0

    def answer(self, host: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON for a request."""
        if path == "/primary":
            return (200 if self.primary else 503), {}
        if path == "/health":
            return (503 if host in self.ill else 200), {}
        if path == "/v3/maintenance/status":
            return 200, {"header": {"member_id": "1"}, "leader": self.leader}
        if path == "/v3/cluster/member/list":
            members = [("1", "db1"), ("2", "db2"), ("3", "mon1")]
            return 200, {
                "members": [{"ID": id_, "name": name, "clientURLs": [f"http://127.0.1.{id_}:{self.port}"]} for id_, name in members]
            }
        self.moved_to.append(body["targetID"])
        return 200, {}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            status, content = cluster.answer(self.headers["Host"].partition(":")[0], self.path, body)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("0.0.0.0", 0), Handler) as server:
        cluster.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield cluster
        server.shutdown()


def run(cluster: Cluster, postgres: str = "127.0.1.1,127.0.1.2") -> list[str]:
    own = f"127.0.1.1:{cluster.port}"
    assert program.main(own, own, postgres) == 0
    return cluster.moved_to


@pytest.mark.parametrize("primary", [True, False])
def test_the_leader_goes_to_the_member_without_postgres(cluster: Cluster, primary: bool) -> None:
    cluster.primary = primary
    assert run(cluster) == ["3"]


def test_without_such_a_member_it_leaves_the_primary(cluster: Cluster) -> None:
    cluster.primary = True
    cluster.ill = {"127.0.1.3"}
    assert run(cluster) == ["2"]


def test_without_such_a_member_it_stays_with_a_standby(cluster: Cluster) -> None:
    assert run(cluster, "127.0.1.1,127.0.1.2,127.0.1.3") == []


def test_who_does_not_lead_moves_nobody(cluster: Cluster) -> None:
    cluster.leader, cluster.primary = "2", True
    assert run(cluster) == []


def test_it_stays_where_nobody_else_is_well(cluster: Cluster) -> None:
    cluster.primary = True
    cluster.ill = {"127.0.1.2", "127.0.1.3"}
    assert run(cluster) == []
