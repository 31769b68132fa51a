"""What role redis tells running servers, and what it leaves alone: its modules against a small server that speaks Redis' protocol."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.unit.roles.redis_modules import ACL, LOGIN, PASSWORD, Answer, Server, redis_instance, redis_primary, redis_sentinel, run


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(answer: Answer) -> Server:
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def acl_file(tmp_path: Path) -> Path:
    path = tmp_path / "users.acl"
    path.write_text("\n".join(ACL) + "\n")
    return path


class Instance:
    """What a Redis remembers."""

    def __init__(self, role: str = "master", immutable: Iterable[str] = (), **settings: str) -> None:
        self.immutable = set(immutable)
        self.settings = {name.replace("_", "-"): value for name, value in settings.items()}
        self.acl = list(ACL)
        self.file_acl = list(ACL)
        self.replication = f"# Replication\r\nrole:{role}\r\nmaster_host:10.0.0.9\r\nmaster_port:6380\r\nmaster_link_status:up\r\n"

    def __call__(self, words: list[str]) -> Any:
        match words:
            case ["ACL", "LIST"]:
                return self.acl
            case ["ACL", "LOAD"]:
                self.acl = self.file_acl
                return "OK"
            case ["CONFIG", "GET", *names]:
                return [word for name in names if name in self.settings for word in (name, self.settings[name])]
            case ["CONFIG", "SET", *pairs] if immutable := set(pairs[::2]) & self.immutable:
                return ValueError(f"ERR CONFIG SET failed (possibly related to argument '{min(immutable)}') - can't set immutable config")
            case ["CONFIG", "SET", *pairs]:
                given = dict(zip(pairs[::2], pairs[1::2], strict=True))
                self.settings |= {name: value.replace("64mb", "67108864") for name, value in given.items()}
                return "OK"
            case ["INFO", *_]:
                return self.replication
        return "OK"


@pytest.fixture
def converge(serve: Callable[..., Server], acl_file: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., dict[str, Any]]:
    def converge(instance: Instance, check: bool = False, **arguments: Any) -> dict[str, Any]:
        server = serve(instance)
        given = LOGIN | {"login_port": server.port, "acl_file": str(acl_file), "config": {}, "link_timeout": 1} | arguments
        return run(redis_instance, given, capsys, check) | {"written": server.written()}

    return converge


def test_an_instance_that_is_right_is_left_alone(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(maxmemory="100", bind="10.0.0.1 127.0.0.1"), config={"maxmemory": 100, "bind": ["10.0.0.1", "127.0.0.1"]})
    assert (result["changed"], result["written"]) == (False, [])


def test_only_settings_that_differ_are_set_and_written_to_the_file(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(maxmemory="100", appendonly="no", save=""), config={"maxmemory": 100, "appendonly": True, "save": ""})
    assert result["settings"] == ["appendonly"]
    assert result["written"] == ["CONFIG SET appendonly yes", "CONFIG REWRITE"]


def test_check_mode_says_what_would_change_and_changes_nothing(converge: Callable[..., dict[str, Any]]) -> None:
    instance = Instance(maxmemory="100")
    instance.acl = ACL[1:]
    result = converge(instance, check=True, config={"maxmemory": 200})
    assert (result["changed"], result["settings"], result["acl"], result["written"]) == (True, ["maxmemory"], True, [])


def test_a_value_that_redis_shows_in_another_form_is_no_change(converge: Callable[..., dict[str, Any]]) -> None:
    assert not converge(Instance(maxmemory="67108864"), config={"maxmemory": "64mb"})["changed"]


def test_a_setting_that_redis_does_not_have_is_an_error(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(maxmemory="100"), config={"maxmemory": 100, "maxmemry": 1})
    assert "no setting named maxmemry" in result["msg"]


THREADS = {"maxmemory": 200, "io-threads": 2, "databases": 4}


def threaded() -> Instance:
    return Instance(immutable=["io-threads", "databases"], maxmemory="100", io_threads="1", databases="16")


def test_what_only_a_restart_changes_is_named_and_the_rest_is_set(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(threaded(), config=THREADS)
    assert (result["restart"], result["settings"], result["changed"]) == (["databases", "io-threads"], ["maxmemory"], True)
    assert result["written"][-2:] == ["CONFIG SET maxmemory 200", "CONFIG REWRITE"]


def test_what_only_a_restart_changes_is_written_to_the_file_before_one(converge: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    file = tmp_path / "store.conf"
    file.write_text("port 6380\nio-threads 1\nio-threads-do-reads no\n")
    written = converge(threaded(), config={"io-threads": 2, "databases": 4}, config_file=str(file))["written"]
    assert written[-1] == "CONFIG REWRITE", "whom it follows must be in the file, too"
    assert file.read_text() == "port 6380\nio-threads-do-reads no\ndatabases 4\nio-threads 2\n"


def test_a_secret_setting_is_set_and_not_shown(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(masterauth="old"), secret_config={"masterauth": "the-new-one"})
    assert result.pop("written") == ["CONFIG SET masterauth the-new-one", "CONFIG REWRITE"]
    assert result["settings"] == ["masterauth"]
    assert "the-new-one" not in json.dumps(result)


def test_users_are_loaded_when_the_file_has_others(converge: Callable[..., dict[str, Any]]) -> None:
    instance = Instance()
    instance.acl = ACL[1:]
    result = converge(instance)
    assert (result["acl"], result["written"]) == (True, ["ACL LOAD"])


def test_a_replica_without_its_master_is_an_error_that_names_it(converge: Callable[..., dict[str, Any]]) -> None:
    instance = Instance("slave")
    instance.replication = instance.replication.replace("status:up", "status:down")
    assert "no link to the master 10.0.0.9:6380" in converge(instance)["msg"]


def test_a_changed_password_is_reported_and_nothing_is_touched(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(maxmemory="1"), config={"maxmemory": 2}, login_password="another")
    assert (result["refused"], result["changed"], result["written"]) == (True, False, [])


@pytest.mark.parametrize("check", [True, False])
def test_an_instance_that_does_not_run_fails_unless_it_is_only_checked(
    check: bool, serve: Callable[..., Server], acl_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(Instance())
    server.shutdown()
    server.server_close()
    arguments = LOGIN | {"login_port": server.port, "acl_file": str(acl_file), "config": {}, "link_timeout": 0}
    result = run(redis_instance, arguments, capsys, check)
    assert ("does not answer" in result.get("msg", "")) is not check


class Sentinel:
    """What a Sentinel remembers."""

    def __init__(self, file: Path, masters: dict[str, dict[str, str]]) -> None:
        self.masters = masters
        self.known: dict[str, list[dict[str, str]]] = {"REPLICAS": [], "SENTINELS": []}
        # Who is found again after a reset.
        self.alive = {"10.0.0.3"}
        self.quorum = True
        self.config = {"announce-ip": "10.0.0.2", "sentinel-user": "sentinel", "sentinel-pass": PASSWORD}
        self.file = file
        self.file.write_text(
            "port 26379\n" + "".join(f"sentinel auth-pass {name} {PASSWORD}\nsentinel auth-user {name} sentinel\n" for name in masters)
        )

    def __call__(self, words: list[str]) -> Any:
        match words:
            case ["ACL", "LIST"]:
                return ACL
            case ["SENTINEL", "CONFIG", "GET", _]:
                return [word for item in self.config.items() for word in item]
            case ["SENTINEL", "MASTERS"]:
                return [[word for item in ({"name": name} | master).items() for word in item] for name, master in self.masters.items()]
            case ["SENTINEL", "REPLICAS" | "SENTINELS" as kind, _]:
                return [[word for item in one.items() for word in item] for one in self.known[kind]]
            case ["SENTINEL", "CKQUORUM", _] if not self.quorum:
                return ValueError("NOQUORUM 1 usable Sentinels")
            case ["SENTINEL", "RESET", _]:
                self.known = {kind: [one for one in ones if one["ip"] in self.alive] for kind, ones in self.known.items()}
                return 1
            case ["SENTINEL", "MASTER", name]:
                if name not in self.masters:
                    return ValueError("ERR No such master with that name")
                return [word for item in self.masters[name].items() for word in item]
        return "OK"


KNOWN = {"flags": "master", "ip": "10.0.0.1", "quorum": "2", "down-after-milliseconds": "5000", "config-epoch": "7"}


@pytest.fixture
def converge_sentinel(
    serve: Callable[..., Server], acl_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    def converge(
        masters: dict[str, dict[str, str]], check: bool = False, known: dict[str, Any] | None = None, quorum: bool = True, **arguments: Any
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
            "master_user": "sentinel",
            "master_password": PASSWORD,
            "config": {"announce-ip": "10.0.0.2"},
            "peer_user": "sentinel",
            "peer_password": PASSWORD,
        }
        result = run(redis_sentinel, LOGIN | given | arguments, capsys, check)
        return result | {"written": [command.replace(PASSWORD, "…") for command in server.written()]}

    return converge


def test_a_master_that_moved_stays_where_it_is(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"store": KNOWN})
    assert (result["changed"], result["written"]) == (False, [])


def test_a_new_master_is_monitored_with_its_settings(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    assert converge_sentinel({})["written"] == [
        "SENTINEL MONITOR store 10.0.0.2 6380 2",
        "SENTINEL SET store quorum 2 down-after-milliseconds 5000 auth-user sentinel auth-pass …",
    ]


def test_a_new_sentinel_does_not_wait_for_others_that_are_new_too(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    assert converge_sentinel({}, quorum=False)["changed"]
    assert "NOQUORUM" in converge_sentinel({"store": KNOWN}, quorum=False)["msg"]


def test_only_what_differs_is_told_to_sentinel(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"store": KNOWN | {"quorum": "1"}}, config={"announce-ip": "10.0.0.3"})
    assert result["changes"] == ["announce-ip", "store: quorum"]
    assert result["written"] == ["SENTINEL CONFIG SET announce-ip 10.0.0.3", "SENTINEL SET store quorum 2"]


def test_a_master_that_is_not_wanted_is_forgotten(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"store": KNOWN, "mymaster": KNOWN})
    assert (result["changes"], result["written"]) == (["mymaster: removed"], ["SENTINEL REMOVE mymaster"])


def test_checking_a_sentinel_changes_nothing(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    result = converge_sentinel({"mymaster": KNOWN}, check=True)
    assert (result["changed"], result["written"]) == (True, [])


def peer(ip: str, port: int = 26379, flags: str = "sentinel") -> dict[str, str]:
    return {"name": "an identity", "ip": ip, "port": str(port), "flags": flags}


FORMER_PEER = {"SENTINELS": [peer("10.0.0.3"), peer("10.0.0.9", flags="sentinel,s_down")]}
TAKEN_OUT = {"REPLICAS": [peer("10.0.0.9", 6380, "slave,s_down,disconnected")]}


@pytest.mark.parametrize(("known", "forgotten"), [(FORMER_PEER, "Sentinel 10.0.0.9:26379"), (TAKEN_OUT, "replica 10.0.0.9:6380")])
def test_a_host_that_is_gone_is_forgotten(converge_sentinel: Callable[..., dict[str, Any]], known: dict[str, Any], forgotten: str) -> None:
    result = converge_sentinel({"store": KNOWN}, known=known)
    assert (result["changes"], result["written"]) == ([f"store: forgets {forgotten}"], ["SENTINEL RESET store"])


def test_a_host_that_is_only_down_is_not_forgotten(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    down = {"SENTINELS": [peer("10.0.0.1", flags="sentinel,s_down")], "REPLICAS": [peer("10.0.0.3", 6380, "slave,s_down")]}
    assert converge_sentinel({"store": KNOWN}, known=down)["written"] == []


def test_nobody_is_forgotten_during_a_failover_or_a_check(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    failing_over = KNOWN | {"flags": "master,o_down,failover_in_progress"}
    assert converge_sentinel({"store": failing_over}, known=FORMER_PEER)["written"] == []
    checked = converge_sentinel({"store": KNOWN}, known=FORMER_PEER, check=True)
    assert (checked["changed"], checked["written"]) == (True, [])


def test_a_peer_that_is_not_found_again_is_an_error_that_names_it(converge_sentinel: Callable[..., dict[str, Any]]) -> None:
    known = {"SENTINELS": [peer("10.0.0.2"), peer("10.0.0.9", flags="sentinel,s_down")]}
    assert "has not found Sentinel 10.0.0.2:26379 again" in converge_sentinel({"store": KNOWN}, known=known)["msg"]


@pytest.mark.parametrize("module", [redis_primary, redis_instance, redis_sentinel], ids=lambda module: module.__name__)
def test_a_module_documents_every_option(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    given: dict[str, Any] = {}
    monkeypatch.setattr(module, "AnsibleModule", lambda argument_spec, **_: given.update(argument_spec) or exit(0))
    with pytest.raises(SystemExit):
        module.main()
    assert documented.keys() == given.keys()
    for name, option in given.items():
        assert documented[name]["type"] == option["type"], name
        assert documented[name].get("required", False) == option.get("required", False), name
        assert documented[name].get("default") == option.get("default"), name
        assert documented[name].get("suboptions", {}).keys() == option.get("options", {}).keys(), name
