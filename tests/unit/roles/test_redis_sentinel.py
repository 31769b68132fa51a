"""Which masters, settings and peers role redis changes on a running Sentinel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.modules import PASSWORD, Run
from tests.unit.roles.redis_modules import ACL, LOGIN, Server, redis_sentinel


class Sentinel:
    """The state of a Sentinel."""

    def __init__(self, masters: dict[str, dict[str, str]], known: dict[str, list[dict[str, str]]]) -> None:
        self.masters = masters
        self.known: dict[str, list[dict[str, str]]] = {"SLAVES": [], "SENTINELS": []} | known
        self.alive = {"10.0.0.3"}  # addresses of the peers that it finds again after a reset
        self.quorum = True

    def __call__(self, words: list[str]) -> Any:
        match words:
            case ["ACL", "LIST"]:
                return ACL
            case ["SENTINEL", "CONFIG", "GET", _]:
                return {"announce-ip": "10.0.0.2", "sentinel-user": "sentinel", "sentinel-pass": PASSWORD}
            case ["SENTINEL", "MASTERS"]:
                return [{"name": name} | master for name, master in self.masters.items()]
            case ["SENTINEL", "SLAVES" | "SENTINELS" as kind, _]:
                return self.known[kind]
            case ["SENTINEL", "CKQUORUM", _] if not self.quorum:
                return ValueError("NOQUORUM 1 usable Sentinels")
            case ["SENTINEL", "RESET", _]:
                self.known = {
                    kind: [one for one in ones if one["ip"] in self.alive] for kind, ones in self.known.items()
                }
                return 1
            case ["SENTINEL", "MASTER", name]:
                return self.masters.get(name, ValueError("ERR No such master with that name"))
        return "OK"


KNOWN = {"flags": "master", "ip": "10.0.0.1", "quorum": "2", "down-after-milliseconds": "5000", "config-epoch": "7"}
STORE = {"store": KNOWN}


@pytest.fixture
def converge(serve: Callable[..., Server], acl_file: Path, tmp_path: Path, run_module: Run) -> Run:
    file = tmp_path / "sentinel.conf"

    def converge(
        masters: dict[str, dict[str, str]],
        check: bool = False,
        known: dict[str, list[dict[str, str]]] | None = None,
        quorum: bool = True,
        **arguments: Any,
    ) -> dict[str, Any]:
        sentinel = Sentinel(masters, known or {})
        sentinel.quorum = quorum
        file.write_text(
            "port 26379\n"
            + "".join(f"sentinel auth-pass {name} {PASSWORD}\nsentinel auth-user {name} sentinel\n" for name in masters)
        )
        server = serve(sentinel)
        copies = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        settings = {"quorum": 2, "down-after-milliseconds": 5000}
        given = {
            "sentinels": copies,
            "quorum_timeout": 1,
            "login_port": server.port,
            "acl_file": str(acl_file),
            "config_file": str(file),
            "masters": [{"name": "store", "address": "10.0.0.2", "port": 6380, "copies": copies, "settings": settings}],
            "user": "sentinel",
            "password": PASSWORD,
            "config": {"announce-ip": "10.0.0.2"},
        }
        result = run_module(redis_sentinel, LOGIN | given | arguments, check)
        return result | {"written": [command.replace(PASSWORD, "…") for command in server.written()]}

    return converge


def peer(ip: str, port: int = 26379, flags: str = "sentinel,s_down") -> dict[str, str]:
    return {"name": "an identity", "ip": ip, "port": str(port), "flags": flags}


REMOVED_SENTINEL = {"SENTINELS": [peer("10.0.0.3", flags="sentinel"), peer("10.0.0.9")]}
REMOVED_REPLICA = {"SLAVES": [peer("10.0.0.9", 6380, "slave,s_down,disconnected")]}
DOWN = {"SENTINELS": [peer("10.0.0.1")], "SLAVES": [peer("10.0.0.3", 6380, "slave,s_down")]}
FAILING_OVER = {"store": KNOWN | {"flags": "master,o_down,failover_in_progress"}}
NEW = [f"store: {option}" for option in ("auth-pass", "auth-user", "down-after-milliseconds", "quorum")]
MONITOR = [
    "SENTINEL MONITOR store 10.0.0.2 6380 2",
    "SENTINEL SET store quorum 2 down-after-milliseconds 5000 auth-user sentinel auth-pass …",
]
UNWANTED = ["mymaster: removed"]
FORGETS = ["store: forgets Sentinel 10.0.0.9:26379"]
RESET = ["SENTINEL RESET store", "SENTINEL FLUSHCONFIG"]


@pytest.mark.parametrize(
    ("masters", "arguments", "changes", "written"),
    [
        pytest.param(STORE, {}, [], [], id="a failover is not undone"),
        pytest.param({}, {}, NEW, MONITOR, id="an unknown master is monitored with its settings"),
        pytest.param({}, {"quorum": False}, NEW, MONITOR, id="a new Sentinel does not wait for a quorum"),
        pytest.param(
            {"store": KNOWN | {"quorum": "1"}},
            {"config": {"announce-ip": "10.0.0.3"}},
            ["announce-ip", "store: quorum"],
            ["SENTINEL CONFIG SET announce-ip 10.0.0.3", "SENTINEL SET store quorum 2"],
            id="only options that differ are set",
        ),
        pytest.param(STORE | {"mymaster": KNOWN}, {}, UNWANTED, ["SENTINEL REMOVE mymaster"], id="an unwanted master"),
        pytest.param({"mymaster": KNOWN}, {"check": True}, UNWANTED + NEW, [], id="check mode"),
        pytest.param(STORE, {"known": REMOVED_SENTINEL}, FORGETS, RESET, id="a removed Sentinel is forgotten"),
        pytest.param(STORE, {"known": REMOVED_SENTINEL, "check": True}, FORGETS, [], id="but not in check mode"),
        pytest.param(FAILING_OVER, {"known": REMOVED_SENTINEL}, [], [], id="nor during a failover"),
        pytest.param(
            STORE, {"known": REMOVED_REPLICA}, ["store: forgets replica 10.0.0.9:6380"], RESET, id="a removed replica"
        ),
        pytest.param(STORE, {"known": DOWN}, [], [], id="a host that is down is not forgotten"),
    ],
)
def test_only_differences_are_changed(
    converge: Run, masters: dict[str, Any], arguments: dict[str, Any], changes: list[str], written: list[str]
) -> None:
    result = converge(masters, **arguments)
    assert (result["changed"], result["changes"], result["written"]) == (bool(changes), changes, written)


def test_a_sentinel_that_lost_its_quorum_is_an_error(converge: Run) -> None:
    assert "NOQUORUM" in converge(STORE, quorum=False)["msg"]


def test_the_error_about_a_missing_peer_names_it(converge: Run) -> None:
    known = {"SENTINELS": [peer("10.0.0.2", flags="sentinel"), peer("10.0.0.9")]}
    assert "has not found Sentinel 10.0.0.2:26379 again" in converge(STORE, known=known)["msg"]
