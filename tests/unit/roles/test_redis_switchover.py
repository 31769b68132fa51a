"""How the module redis_switchover moves a master, and when it refuses to."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import groupby
from typing import Any

import pytest

from tests.unit.roles.modules import Run
from tests.unit.roles.redis_modules import LOGIN, Answer, Server, failover, redis_switchover


class Fleet:
    """A Sentinel, a master and a replica that answer the commands of the module."""

    def __init__(self, serve: Callable[[Answer], Server], run_module: Run) -> None:
        self.run_module = run_module
        self.promotes, self.quorum, self.healthy, self.lag = True, True, True, 0
        self.takes = 0.0  # seconds from SENTINEL FAILOVER until the replica is promoted
        self.dies = False  # whether the Sentinel does not answer after SENTINEL FAILOVER
        self.master_dies = False
        self.started: float | None = None
        self.master, self.replica, self.sentinel = serve(self._master), serve(self._replica), serve(self._sentinel)
        self.addresses = ["127.0.0.9", "127.0.0.1"]  # the first Sentinel does not answer

    @property
    def in_progress(self) -> bool:
        """Whether the failover is not over."""
        return self.started is not None and time.monotonic() < self.started + self.takes

    @property
    def promoted(self) -> bool:
        """Whether the replica is master."""
        return self.started is not None and not self.in_progress and self.promotes

    def _sentinel(self, words: list[str]) -> Any:
        if self.dies and self.started:
            raise ConnectionError
        match words[1]:
            case "MASTER":
                return {
                    "flags": "master,failover_in_progress" if self.in_progress else "master",
                    "failover-state": "wait_promotion",
                    "config-epoch": "1" if self.promoted else "0",
                    "failover-timeout": "500",
                }
            case "GET-MASTER-ADDR-BY-NAME":
                return ["127.0.0.1", str((self.replica if self.promoted else self.master).port)]
            case "CKQUORUM":
                return "OK" if self.quorum else ValueError("NOQUORUM 1 usable Sentinels")
            case "SLAVES":
                replica = {
                    "ip": "127.0.0.1",
                    "port": str(self.replica.port),
                    "flags": "slave",
                    "master-link-status": "ok" if self.healthy else "err",
                    "slave-priority": "100",
                }
                return [replica, replica | {"ip": "127.0.0.9", "slave-priority": "0"}]
            case "FAILOVER":
                self.started = time.monotonic()
                return "OK"
            case "RESET":
                self.started = None
                return 1
        raise AssertionError(words)

    def _master(self, words: list[str]) -> Any:
        if self.master_dies and self.started:
            raise ConnectionError
        return "role:master\r\nmaster_repl_offset:1000\r\nmaster_link_status:up\r\n" if words[0] == "INFO" else "OK"

    def _replica(self, words: list[str]) -> Any:
        return f"role:slave\r\nslave_repl_offset:{1000 - self.lag}\r\n" if words[0] == "INFO" else "OK"

    def switch_over(self, check: bool = False, to: str = "") -> dict[str, Any]:
        """Run the module."""
        sentinel = {"sentinels": self.addresses, "sentinel_port": self.sentinel.port}
        return self.run_module(redis_switchover, LOGIN | sentinel | {"name": "store", "pause": 1, "to": to}, check)


@pytest.fixture
def fleet(serve: Callable[[Answer], Server], run_module: Run, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """A healthy fleet."""
    monkeypatch.setattr(failover, "TILT", 0.5)
    return Fleet(serve, run_module)


def written(server: Server) -> list[str]:
    """Return the commands that changed something, without repetitions."""
    return [command for command, _ in groupby(server.written())]


# A promotion that takes longer than one pause.
@pytest.mark.parametrize("takes", [0, 1.2])
def test_writes_are_paused_until_sentinel_has_promoted_the_replica(fleet: Fleet, takes: float) -> None:
    fleet.takes = takes
    assert fleet.switch_over()["changed"]
    assert "SENTINEL FAILOVER store" in fleet.sentinel.written()
    assert written(fleet.master) == [
        "CLIENT PAUSE 1000 WRITE",
        f"REPLICAOF 127.0.0.1 {fleet.replica.port}",
        "CONFIG REWRITE",
        "CLIENT KILL TYPE normal SKIPME YES",
        "CLIENT UNPAUSE",
    ]


def test_a_master_that_dies_meanwhile_is_reported_after_the_promotion(fleet: Fleet) -> None:
    fleet.master_dies, fleet.takes = True, 0.3
    result = fleet.switch_over()
    assert result["failed"]
    assert "127.0.0.1 is master of store, but the old master fails" in result["msg"]
    assert "CLIENT UNPAUSE" not in fleet.master.written()


@pytest.mark.parametrize("learns", [True, False], ids=["late", "never"])
def test_the_switchover_ends_when_every_sentinel_names_the_new_master(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch, learns: bool
) -> None:
    answers: list[bool] = []

    def late(words: list[str]) -> Any:
        if words[1] == "GET-MASTER-ADDR-BY-NAME" and fleet.promoted:
            answers.append(learns and len(answers) >= 10)
            return ["127.0.0.1", str((fleet.replica if answers[-1] else fleet.master).port)]
        stale = {"config-epoch": "0"} if words[1] == "MASTER" else {}
        reply = fleet._sentinel(words)
        return reply | stale if isinstance(reply, dict) else reply

    monkeypatch.setattr(redis_switchover, "KNOWN_TIMEOUT", 1.0)
    with Server(late, ("127.0.0.2", fleet.sentinel.port)) as other:
        fleet.addresses = ["127.0.0.1", "127.0.0.2"]
        result = fleet.switch_over()
        other.shutdown()
    assert answers[-1] == learns
    assert "not every Sentinel knows it" in result["msg"] if not learns else result["changed"]


def test_check_mode_changes_nothing(fleet: Fleet) -> None:
    assert fleet.switch_over(check=True)["changed"]
    assert fleet.master.written() == []
    assert not fleet.promoted


PAUSED = ["CLIENT PAUSE 1000 WRITE", "CLIENT UNPAUSE"]


@pytest.mark.parametrize(
    ("broken", "to", "reason", "commands"),
    [
        ({"promotes": False}, "", "ended the failover without promoting", PAUSED),
        ({"promotes": False, "takes": 0.7}, "", "ended the failover without promoting", PAUSED),
        ({"takes": 99}, "", "ended the failover without promoting", PAUSED),
        ({"dies": True, "promotes": False}, "", "has not answered for 2 s", PAUSED),
        ({"lag": 1}, "", "catch up", PAUSED),
        ({"quorum": False}, "", "no Sentinel has a majority", []),
        ({"healthy": False}, "", "holds the last copy", []),
        ({}, "127.0.0.9", "127.0.0.9 is not a healthy replica", []),
    ],
)
def test_the_old_master_keeps_its_role_and_its_writes_if_a_switchover_fails(
    fleet: Fleet, broken: dict[str, Any], to: str, reason: str, commands: list[str]
) -> None:
    vars(fleet).update(broken)
    result = fleet.switch_over(to=to)
    assert result["failed"]
    assert reason in result["msg"]
    assert written(fleet.master) == commands
    assert not fleet.promoted
