"""Which masters, settings and peers role redis changes on a running Sentinel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.redis_modules import ACL, LOGIN, PASSWORD, Server, redis_sentinel, run


class Sentinel:
    """The state of a Sentinel."""

    def __init__(self, file: Path, masters: dict[str, dict[str, str]]) -> None:
        self.masters = masters
        self.known: dict[str, list[dict[str, str]]] = {"SLAVES": [], "SENTINELS": []}
        # Addresses of the peers that it finds again after a reset.
        self.alive = {"10.0.0.3"}
        self.quorum = True
        self.config = {"announce-ip": "10.0.0.2", "sentinel-user": "sentinel", "sentinel-pass": PASSWORD}
        self.file = file
        self.file.write_text(
            "port 26379\n"
            + "".join(f"sentinel auth-pass {name} {PASSWORD}\nsentinel auth-user {name} sentinel\n" for name in masters)
        )

    def __call__(self, words: list[str]) -> Any:
        match words:
            case ["ACL", "LIST"]:
                return ACL
            case ["SENTINEL", "CONFIG", "GET", _]:
                return self.config
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
                if name not in self.masters:
                    return ValueError("ERR No such master with that name")
                return self.masters[name]
        return "OK"


KNOWN = {"flags": "master", "ip": "10.0.0.1", "quorum": "2", "down-after-milliseconds": "5000", "config-epoch": "7"}


@pytest.fixture
def converge_sentinel(
    serve: Callable[..., Server], acl_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    def converge(
        masters: dict[str, dict[str, str]],
        check: bool = False,
        known: dict[str, Any] | None = None,
        quorum: bool = True,
        **arguments: Any,
    ) -> dict[str, Any]:
        sentinel = Sentinel(tmp_path / "sentinel.conf", masters)
        sentinel.quorum = quorum
        sentinel.known |= known or {}
        server = serve(sentinel)
        copies = ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
        settings = {"quorum": 2, "down-after-milliseconds": 5000}
        store = {"name": "store", "address": "10.0.0.2", "port": 6380, "copies": copies, "settings": settings}
        given = {
            "sentinels": copies,
            "quorum_timeout": 1,
            "login_port": server.port,
            "acl_file": str(acl_file),
            "config_file": str(tmp_path / "sentinel.conf"),
            "masters": [store],
            "user": "sentinel",
            "password": PASSWORD,
            "config": {"announce-ip": "10.0.0.2"},
        }
        result = run(redis_sentinel, LOGIN | given | arguments, capsys, check)
        return result | {"written": [command.replace(PASSWORD, "…") for command in server.written()]}

    return converge


def test_a_failover_is_not_undone(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"store": KNOWN})
    assert (result["changed"], result["written"]) == (False, [])


def test_an_unknown_master_is_monitored_with_its_settings(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    assert converge_sentinel({})["written"] == [
        "SENTINEL MONITOR store 10.0.0.2 6380 2",
        "SENTINEL SET store quorum 2 down-after-milliseconds 5000 auth-user sentinel auth-pass …",
    ]


def test_a_new_sentinel_does_not_wait_for_a_quorum(
    converge_sentinel: Callable[..., dict[str, Any]],
) -> None:
    assert converge_sentinel({}, quorum=False)["changed"]
    assert "NOQUORUM" in converge_sentinel({"store": KNOWN}, quorum=False)["msg"]


def test_only_options_that_differ_are_set(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"store": KNOWN | {"quorum": "1"}}, config={"announce-ip": "10.0.0.3"})
    assert result["changes"] == ["announce-ip", "store: quorum"]
    assert result["written"] == ["SENTINEL CONFIG SET announce-ip 10.0.0.3", "SENTINEL SET store quorum 2"]


def test_an_unwanted_master_is_removed(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"store": KNOWN, "mymaster": KNOWN})
    assert (result["changes"], result["written"]) == (["mymaster: removed"], ["SENTINEL REMOVE mymaster"])


def test_check_mode_changes_nothing(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"mymaster": KNOWN}, check=True)
    assert (result["changed"], result["written"]) == (True, [])


def peer(ip: str, port: int = 26379, flags: str = "sentinel") -> dict[str, str]:
    return {"name": "an identity", "ip": ip, "port": str(port), "flags": flags}


REMOVED_SENTINEL = {"SENTINELS": [peer("10.0.0.3"), peer("10.0.0.9", flags="sentinel,s_down")]}
REMOVED_REPLICA = {"SLAVES": [peer("10.0.0.9", 6380, "slave,s_down,disconnected")]}


@pytest.mark.parametrize(
    ("known", "forgotten"), [(REMOVED_SENTINEL, "Sentinel 10.0.0.9:26379"), (REMOVED_REPLICA, "replica 10.0.0.9:6380")]
)
def test_a_removed_host_is_forgotten(
    converge_sentinel: Callable[..., dict[str, Any]], known: dict[str, Any], forgotten: str
) -> None:
    result = converge_sentinel({"store": KNOWN}, known=known)
    assert (result["changes"], result["written"]) == ([f"store: forgets {forgotten}"], ["SENTINEL RESET store"])


def test_a_host_that_is_down_is_not_forgotten(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    down = {
        "SENTINELS": [peer("10.0.0.1", flags="sentinel,s_down")],
        "SLAVES": [peer("10.0.0.3", 6380, "slave,s_down")],
    }
    assert converge_sentinel({"store": KNOWN}, known=down)["written"] == []


def test_nothing_is_forgotten_during_a_failover_or_in_check_mode(
    converge_sentinel: Callable[..., dict[str, Any]],
) -> None:
    failing_over = KNOWN | {"flags": "master,o_down,failover_in_progress"}
    assert converge_sentinel({"store": failing_over}, known=REMOVED_SENTINEL)["written"] == []
    checked = converge_sentinel({"store": KNOWN}, known=REMOVED_SENTINEL, check=True)
    assert (checked["changed"], checked["written"]) == (True, [])


def test_the_error_about_a_missing_peer_names_it(
    converge_sentinel: Callable[..., dict[str, Any]],
) -> None:
    known = {"SENTINELS": [peer("10.0.0.2"), peer("10.0.0.9", flags="sentinel,s_down")]}
    assert "has not found Sentinel 10.0.0.2:26379 again" in converge_sentinel({"store": KNOWN}, known=known)["msg"]
