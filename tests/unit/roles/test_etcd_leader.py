"""Where the program moves etcd's leader, tested against a fake server for etcd and Patroni."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.roles.json_server import Request, answering
from tests.unit.roles.modules import ROLES, load

program = load("etcd_leader_elsewhere", ROLES / "postgres/files/etcd_leader_elsewhere.py")

NAMES = {"1": "db1", "2": "db2", "3": "mon1"}


class Cluster:
    """Three members. Every address in 127.0.0.0/8 is this machine, so one server answers for all of them."""

    def __init__(self) -> None:
        self.leader = "1"
        self.primary = False
        self.unhealthy: set[str] = set()
        self.moved_to: list[str] = []
        self.port = 0

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return the status and JSON for a request."""
        if request.path == "/primary":
            return (200 if self.primary else 503), {}
        if request.path == "/health":
            return (503 if request.host in self.unhealthy else 200), {}
        if request.path == "/v3/maintenance/status":
            return 200, {"header": {"member_id": "1"}, "leader": self.leader}
        if request.path == "/v3/cluster/member/list":
            urls = {name: [f"http://127.0.1.{id_}:{self.port}"] for id_, name in NAMES.items()}
            return 200, {
                "members": [{"ID": id_, "name": name, "clientURLs": urls[name]} for id_, name in NAMES.items()]
            }
        self.moved_to.append(request.body["targetID"])
        return 200, {}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    cluster = Cluster()

    with answering(cluster.answer) as cluster.port:
        yield cluster


def run(cluster: Cluster, postgres: str = "127.0.1.1,127.0.1.2") -> list[str]:
    own = f"127.0.1.1:{cluster.port}"
    assert program.main(own, own, postgres) == 0
    return cluster.moved_to


@pytest.mark.parametrize("primary", [True, False])
def test_the_leader_moves_to_a_member_without_postgres(cluster: Cluster, primary: bool) -> None:
    cluster.primary = primary
    assert run(cluster) == ["3"]


def test_if_no_other_member_is_healthy_the_leader_moves_from_the_primary_to_a_standby(cluster: Cluster) -> None:
    cluster.primary = True
    cluster.unhealthy = {"127.0.1.3"}
    assert run(cluster) == ["2"]


def test_if_every_member_is_on_a_postgres_host_the_leader_stays_on_a_standby(cluster: Cluster) -> None:
    assert run(cluster, "127.0.1.1,127.0.1.2,127.0.1.3") == []


def test_a_member_that_is_not_the_leader_moves_nothing(cluster: Cluster) -> None:
    cluster.leader, cluster.primary = "2", True
    assert run(cluster) == []


def test_the_leader_stays_if_no_other_member_is_healthy(cluster: Cluster) -> None:
    cluster.primary = True
    cluster.unhealthy = {"127.0.1.2", "127.0.1.3"}
    assert run(cluster) == []
