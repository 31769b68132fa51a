from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.roles.redis_modules import LOGIN, Server, redis_switchover, run


class Fleet:
    """A Sentinel, a master and a replica, each as far as the module asks them."""

    def __init__(self) -> None:
        self.promotes, self.quorum, self.healthy, self.behind = True, True, True, 0
        self.promoted = False
        self.master, self.replica, self.sentinel = Server(self._master), Server(self._replica), Server(self._sentinel)

    def close(self) -> None:
        """Stop the servers."""
        for server in (self.master, self.replica, self.sentinel):
            server.shutdown()
            server.server_close()

    def _sentinel(self, words: list[str]) -> Any:
        match words[1]:
            case "GET-MASTER-ADDR-BY-NAME":
                return ["127.0.0.1", str((self.replica if self.promoted else self.master).port)]
            case "CKQUORUM":
                return "OK" if self.quorum else ValueError("NOQUORUM 1 usable Sentinels")
            case "REPLICAS":
                link = "ok" if self.healthy else "err"
                replica = {
                    "ip": "127.0.0.1",
                    "port": self.replica.port,
                    "flags": "slave",
                    "master-link-status": link,
                    "slave-priority": 100,
                }
                witness = replica | {"ip": "127.0.0.9", "slave-priority": 0}
                return [[str(word) for item in one.items() for word in item] for one in (replica, witness)]
            case "FAILOVER":
                self.promoted = self.promotes
                return "OK"
        raise AssertionError(words)

    def _master(self, words: list[str]) -> Any:
        return "role:master\r\nmaster_repl_offset:1000\r\nmaster_link_status:up\r\n" if words[0] == "INFO" else "OK"

    def _replica(self, words: list[str]) -> Any:
        return f"role:slave\r\nslave_repl_offset:{1000 - self.behind}\r\n" if words[0] == "INFO" else "OK"

    def hand_over(self, capsys: pytest.CaptureFixture[str], check: bool = False, **arguments: Any) -> dict[str, Any]:
        """Run the module."""
        given = {
            "name": "store",
            "sentinel_host": "127.0.0.1",
            "sentinel_port": self.sentinel.port,
            "pause": 1,
            **LOGIN,
            **arguments,
        }
        return run(redis_switchover, given, capsys, check)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    """A healthy fleet."""
    fleet = Fleet()
    yield fleet
    fleet.close()


def test_writes_wait_while_the_role_is_handed_over(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.hand_over(capsys)["changed"]
    assert "SENTINEL FAILOVER store" in fleet.sentinel.written()
    assert fleet.master.written() == [
        "CLIENT PAUSE 1000 WRITE",
        f"REPLICAOF 127.0.0.1 {fleet.replica.port}",
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal SKIPME yes",
        "CLIENT UNPAUSE",
    ]


def test_a_check_changes_nothing(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.hand_over(capsys, check=True)["changed"]
    assert fleet.master.written() == []
    assert not fleet.promoted


def test_writes_go_on_where_nobody_was_promoted(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.promotes = False
    result = fleet.hand_over(capsys)
    assert result["failed"]
    assert "no replica was promoted" in result["msg"]
    assert fleet.master.written() == ["CLIENT PAUSE 1000 WRITE", "CLIENT UNPAUSE"]


def test_a_replica_that_lags_is_not_promoted(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.behind = 1
    assert "catch up" in fleet.hand_over(capsys)["msg"]
    assert fleet.master.written() == ["CLIENT PAUSE 1000 WRITE", "CLIENT UNPAUSE"]
    assert not fleet.promoted


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"quorum": False}, "no majority"),
        ({"healthy": False}, "holds the last copy"),
        ({"to": "127.0.0.9"}, "127.0.0.9 is no healthy replica"),
    ],
)
def test_what_would_lose_the_last_copy_is_refused(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], broken: dict[str, Any], reason: str
) -> None:
    to = broken.pop("to", "")
    for name, value in broken.items():
        setattr(fleet, name, value)
    assert reason in fleet.hand_over(capsys, to=to)["msg"]
    assert fleet.master.written() == []
