"""Where the program moves etcd's leader, tested against a fake server for etcd and Patroni."""

from __future__ import annotations

from typing import Any

import pytest
from werkzeug import Request

from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import ROLES, load

program = load(ROLES / "postgres/files/etcd_leader_elsewhere.py")


class Cluster:
    """Three members. Every address in 127.0.0.0/8 is this machine, so one server answers for all of them."""

    def __init__(self) -> None:
        self.leader = "1"
        self.primary = True
        self.unhealthy: set[str] = set()
        self.moved_to: list[str] = []
        self.port = 0

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return the status and JSON for a request."""
        match request.path:
            case "/primary":
                return (200 if self.primary else 503), {}
            case "/health":
                return (503 if request.host.partition(":")[0] in self.unhealthy else 200), {}
            case "/v3/maintenance/status":
                return 200, {"header": {"member_id": "1"}, "leader": self.leader}
            case "/v3/cluster/member/list":
                names = {"1": "db1", "2": "db2", "3": "mon1"}
                return 200, {
                    "members": [
                        {"ID": id_, "name": name, "clientURLs": [f"http://127.0.1.{id_}:{self.port}"]}
                        for id_, name in names.items()
                    ]
                }
        self.moved_to.append(request.get_json(force=True)["targetID"])
        return 200, {}


@pytest.mark.parametrize(
    ("state", "postgres", "moved_to"),
    [
        pytest.param({}, "12", ["3"], id="from the primary to a member without Postgres"),
        pytest.param({"primary": False}, "12", ["3"], id="from a standby to a member without Postgres"),
        pytest.param(
            {"unhealthy": {"127.0.1.3"}}, "12", ["2"], id="from the primary to a standby, if no other is healthy"
        ),
        pytest.param({"unhealthy": {"127.0.1.2", "127.0.1.3"}}, "12", [], id="nowhere, if no other member is healthy"),
        pytest.param({"primary": False}, "123", [], id="stays on a standby if every member has Postgres"),
        pytest.param({"leader": "2"}, "12", [], id="this member is not the leader"),
    ],
)
def test_the_leader_moves_away_from_postgres(state: dict[str, Any], postgres: str, moved_to: list[str]) -> None:
    cluster = Cluster()
    vars(cluster).update(state)
    with answering(cluster.answer, "0.0.0.0") as cluster.port:
        own = f"127.0.1.1:{cluster.port}"
        assert program.main(own, own, ",".join(f"127.0.1.{number}" for number in postgres)) == 0
    assert cluster.moved_to == moved_to
