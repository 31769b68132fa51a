"""How the module redis_switchover moves a master, and when it refuses to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.roles.redis_modules import LOGIN, Server, redis_switchover, run


class Fleet:
    """A Sentinel, a master and a replica that answer the commands of the module."""

    def __init__(self) -> None:
        self.promotes, self.quorum, self.healthy, self.lag = True, True, True, 0
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
            case "SLAVES":
                link = "ok" if self.healthy else "err"
                replica = {
                    "ip": "127.0.0.1",
                    "port": self.replica.port,
                    "flags": "slave",
                    "master-link-status": link,
                    "slave-priority": 100,
                }
                witness = replica | {"ip": "127.0.0.9", "slave-priority": 0}
                return [{name: str(value) for name, value in one.items()} for one in (replica, witness)]
            case "FAILOVER":
                self.promoted = self.promotes
                return "OK"
        raise AssertionError(words)

    def _master(self, words: list[str]) -> Any:
        return "role:master\r\nmaster_repl_offset:1000\r\nmaster_link_status:up\r\n" if words[0] == "INFO" else "OK"

    def _replica(self, words: list[str]) -> Any:
        return f"role:slave\r\nslave_repl_offset:{1000 - self.lag}\r\n" if words[0] == "INFO" else "OK"

    def switch_over(self, capsys: pytest.CaptureFixture[str], check: bool = False, **arguments: Any) -> dict[str, Any]:
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


def test_writes_are_paused_during_a_switchover(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.switch_over(capsys)["changed"]
    assert "SENTINEL FAILOVER store" in fleet.sentinel.written()
    assert fleet.master.written() == [
        "CLIENT PAUSE 1000 WRITE",
        f"REPLICAOF 127.0.0.1 {fleet.replica.port}",
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal SKIPME YES",
        "CLIENT UNPAUSE",
    ]


def test_check_mode_changes_nothing(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    assert fleet.switch_over(capsys, check=True)["changed"]
    assert fleet.master.written() == []
    assert not fleet.promoted


def test_writes_continue_on_the_old_master_if_no_replica_is_promoted(
    fleet: Fleet, capsys: pytest.CaptureFixture[str]
) -> None:
    fleet.promotes = False
    result = fleet.switch_over(capsys)
    assert result["failed"]
    assert "no replica was promoted" in result["msg"]
    assert fleet.master.written() == ["CLIENT PAUSE 1000 WRITE", "CLIENT UNPAUSE"]


def test_a_replica_that_lags_is_not_promoted(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.lag = 1
    assert "catch up" in fleet.switch_over(capsys)["msg"]
    assert fleet.master.written() == ["CLIENT PAUSE 1000 WRITE", "CLIENT UNPAUSE"]
    assert not fleet.promoted


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"quorum": False}, "no majority"),
        ({"healthy": False}, "holds the last copy"),
        ({"to": "127.0.0.9"}, "127.0.0.9 is not a healthy replica"),
    ],
)
def test_a_switchover_without_a_majority_or_a_healthy_replica_is_refused(
    fleet: Fleet, capsys: pytest.CaptureFixture[str], broken: dict[str, Any], reason: str
) -> None:
    to = broken.pop("to", "")
    for name, value in broken.items():
        setattr(fleet, name, value)
    assert reason in fleet.switch_over(capsys, to=to)["msg"]
    assert fleet.master.written() == []
