"""Which members the module removes from etcd, in which order, and when it refuses, against a fake cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from werkzeug import Request

from tests.unit.roles.etcd_modules import former_members
from tests.unit.roles.json_server import answering
from tests.unit.roles.modules import Run

NAMES = {"1": "db1", "2": "db2", "3": "mon1"}
Remove = Callable[..., dict[str, Any]]


class Cluster:
    """Three members. Every address in 127.0.0.0/8 is this machine, so one server answers for all of them."""

    def __init__(self) -> None:
        self.members = dict(NAMES)
        self.dead: set[str] = set()
        self.leader = "1"
        self.refusals = 0
        self.changes: list[str] = []

    @property
    def has_majority(self) -> bool:
        """Whether more than half of the members run."""
        return 2 * len(self.members.keys() - self.dead) > len(self.members)

    def answer(self, request: Request) -> tuple[int, Any]:
        """Return the status and JSON for a request."""
        asked = request.host.partition(":")[0][-1]
        body = request.get_json(force=True)
        if asked in self.dead or asked not in self.members:
            return 503, {}
        match request.path:
            case "/v3/maintenance/status":
                return 200, {"header": {"member_id": asked}} | ({"leader": self.leader} if self.has_majority else {})
            case "/v3/cluster/member/list" if self.has_majority or not body["linearizable"]:
                return 200, {
                    "members": [
                        {"ID": id_, "name": name, "peerURLs": [f"http://127.0.1.{id_}:2380"]}
                        for id_, name in self.members.items()
                    ]
                }
            case "/v3/maintenance/transfer-leadership" if asked == self.leader:
                self.leader = body["targetID"]
                self.changes.append(f"{self.members[self.leader]} leads")
                return 200, {}
            case "/v3/cluster/member/remove" if self.has_majority and not self.refusals:
                self.changes.append(f"without {self.members.pop(body['ID'])}")
                return 200, {}
        self.refusals -= 1
        return 503, {"message": "unhealthy cluster"}


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def remove(cluster: Cluster, run_module: Run) -> Iterator[Remove]:
    """Run the module with the members that stay."""
    with answering(cluster.answer, "0.0.0.0") as port:

        def run(staying: str, check: bool = False) -> dict[str, Any]:
            arguments = {"members": [f"127.0.1.{id_}" for id_ in staying], "port": port, "timeout": 5}
            return run_module(former_members, arguments, check=check)

        yield run


@pytest.mark.parametrize(
    ("state", "staying", "changes"),
    [
        pytest.param({}, "123", [], id="all members stay"),
        pytest.param({"dead": {"2"}}, "123", [], id="a member that stays is down"),
        pytest.param({"dead": {"1", "2", "3"}}, "12", [], id="no member answers, as on a fresh fleet"),
        pytest.param({}, "1", ["without db2", "without mon1"], id="one stays"),
        pytest.param({"dead": {"2"}}, "1", ["without db2", "without mon1"], id="one stays, another was destroyed"),
        pytest.param({"dead": {"3"}}, "1", ["without mon1", "without db2"], id="dead members come first"),
        pytest.param(
            {"leader": "2"},
            "1",
            ["without mon1", "db1 leads", "without db2"],
            id="the leader comes last",
        ),
        pytest.param(
            {"leader": "2", "dead": {"3"}},
            "1",
            ["without mon1", "db1 leads", "without db2"],
            id="the leader leaves, and another was destroyed",
        ),
        pytest.param({"refusals": 1}, "12", ["without mon1"], id="etcd refuses at first"),
    ],
)
def test_former_members_are_removed_one_at_a_time(
    cluster: Cluster, remove: Remove, state: dict[str, Any], staying: str, changes: list[str]
) -> None:
    vars(cluster).update(state)
    result = remove(staying)
    assert cluster.changes == changes
    assert result.get("changed", False) == bool(changes)
    if changes:
        assert result["members"] == [f"127.0.1.{id_}" for id_ in staying]


@pytest.mark.parametrize(
    ("dead", "sentence"),
    [
        pytest.param({"2", "3"}, "none can vote, and db2, mon1 must leave. Start db2, mon1, then", id="already lost"),
        pytest.param({"1"}, "", id="no member that stays answers"),
    ],
)
def test_a_majority_that_is_or_would_be_lost_is_refused(
    cluster: Cluster, remove: Remove, dead: set[str], sentence: str
) -> None:
    cluster.dead = dead
    result = remove("1")
    assert cluster.changes == []
    assert sentence in result.get("msg", "")
    assert result.get("failed", False) == bool(sentence)
    assert result.get("members", []) == []


def test_a_member_whose_removal_would_leave_too_few_votes_stays(cluster: Cluster, remove: Remove) -> None:
    cluster.dead = {"2"}
    result = remove("12")
    assert cluster.changes == []
    assert "mon1 cannot be removed from etcd" in result["msg"]
    assert "Start db2, then run this again." in result["msg"]


def test_a_run_that_stops_between_two_removals_goes_on_in_the_next_one(
    cluster: Cluster, remove: Remove, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: list[Any], leaving: Any, __: list[str]) -> str:
        return "" if leaving.name == "db2" else "Stopped."

    with monkeypatch.context() as patch:
        patch.setattr(former_members, "refusal", stop)
        result = remove("1")
    assert (result["msg"], result["removed"], cluster.changes) == ("Stopped.", ["db2"], ["without db2"])
    assert remove("1")["members"] == ["127.0.1.1"]
    assert cluster.changes == ["without db2", "without mon1"]


def test_check_mode_removes_nothing(cluster: Cluster, remove: Remove) -> None:
    result = remove("1", check=True)
    assert (result["removed"], result["changed"], cluster.changes) == (["db2", "mon1"], True, [])
