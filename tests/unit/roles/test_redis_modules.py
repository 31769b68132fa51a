"""The modules of role redis, against a small server that speaks Redis' protocol and remembers what it was told."""

from __future__ import annotations

import importlib.util
import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from ansible.module_utils.testing import patch_module_args

ROLE = Path(__file__).resolve().parents[3] / "roles/redis"
PASSWORD = "not-a-secret-of-anybody"
ACL = ["user admin on #0 ~* &* +@all", "user default off -@all"]
LOGIN = {"login_user": "admin", "login_password": PASSWORD}
READING = ("PING", "INFO", "CONFIG GET", "ACL LIST", "SENTINEL MASTER", "SENTINEL CKQUORUM", "SENTINEL CONFIG GET")
Answer = Callable[[list[str]], Any]


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


load("ansible.module_utils.redis_connection", ROLE / "module_utils/redis_connection.py")
redis_primary, redis_instance, redis_sentinel = (
    load(name, ROLE / f"library/{name}.py") for name in ("redis_primary", "redis_instance", "redis_sentinel")
)


def encode(reply: Any) -> bytes:
    """A reply in RESP2; an exception becomes an error."""
    match reply:
        case None:
            return b"$-1\r\n"
        case Exception():
            return f"-{reply}\r\n".encode()
        case int():
            return f":{reply}\r\n".encode()
        case str():
            return f"${len(reply.encode())}\r\n{reply}\r\n".encode()
        case _:
            return f"*{len(reply)}\r\n".encode() + b"".join(encode(part) for part in reply)


class Server(socketserver.ThreadingTCPServer):
    """Answers AUTH and PING itself and leaves the rest to `answer`; keeps every command in `commands`."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.password = PASSWORD
        self.commands: list[list[str]] = []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def written(self) -> list[str]:
        """The commands that change something."""
        names = [" ".join(command) for command in self.commands]
        return [name for name in names if not name.startswith(READING)]


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        while header := self.rfile.readline():
            words = []
            for _ in range(int(header[1:])):
                length = int(self.rfile.readline()[1:])
                words.append(self.rfile.read(length + 2)[:-2].decode())
            if words[0] == "AUTH":
                reply: Any = "OK" if words[2] == self.server.password else ValueError("WRONGPASS invalid username-password pair")
            else:
                self.server.commands.append(words)
                reply = "PONG" if words[0] == "PING" else self.server.answer(words)
            self.wfile.write(encode(reply))


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


def run(module: ModuleType, arguments: dict[str, Any], capsys: pytest.CaptureFixture[str], check: bool = False) -> dict[str, Any]:
    """Run a module like Ansible does; return its result."""
    with patch_module_args(arguments | {"_ansible_check_mode": check}), pytest.raises(SystemExit):
        module.main()
    output = capsys.readouterr().out
    assert PASSWORD not in output
    return dict(json.loads(output))


class Instance:
    """What a Redis remembers."""

    def __init__(self, role: str = "master", **settings: str) -> None:
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
            case ["SENTINEL", "MASTER", name]:
                if name not in self.masters:
                    return ValueError("ERR No such master with that name")
                return [word for item in self.masters[name].items() for word in item]
        return "OK"


KNOWN = {"ip": "10.0.0.1", "quorum": "2", "down-after-milliseconds": "5000", "config-epoch": "7"}


@pytest.fixture
def converge_sentinel(
    serve: Callable[..., Server], acl_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    def converge(masters: dict[str, dict[str, str]], check: bool = False, **arguments: Any) -> dict[str, Any]:
        server = serve(Sentinel(tmp_path / "sentinel.conf", masters))
        store = {"name": "store", "address": "10.0.0.2", "port": 6380, "settings": {"quorum": 2, "down-after-milliseconds": 5000}}
        given = {
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


class Fleet:
    """Sentinels and copies by address: what each says, instead of connections to them."""

    def __init__(self) -> None:
        self.named: dict[str, tuple[str, int] | None] = {}
        self.info: dict[str, str] = {}
        self.password = PASSWORD

    def connection(self, address: str, port: int, _user: str, password: str, timeout: float) -> FakeConnection:
        assert timeout <= 1
        if address not in (self.named if port == 26379 else self.info):
            raise ConnectionRefusedError
        if password != self.password:
            raise redis_primary.RedisError("WRONGPASS invalid username-password pair")
        return FakeConnection(self, address)

    def find(self, capsys: pytest.CaptureFixture[str], own: str = "h1", empty: bool = False, password: str = PASSWORD) -> dict[str, Any]:
        store = {"name": "store", "port": 6380, "candidates": ["h1", "h2"], "copies": ["h1", "h2", "h3"], "empty": empty}
        login = {"login_user": "monitoring", "login_password": password}
        arguments = {"instances": [store], "sentinels": ["h1", "h2", "h3"], "address": own, "promotion_timeout": 0}
        return run(redis_primary, arguments | login, capsys)


class FakeConnection:
    def __init__(self, fleet: Fleet, address: str) -> None:
        self.fleet, self.address = fleet, address

    def __enter__(self) -> FakeConnection:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""

    def pairs(self, *_: str) -> dict[str, str]:
        if (named := self.fleet.named[self.address]) is None:
            raise redis_primary.RedisError("ERR No such master with that name")
        return {"ip": named[0], "config-epoch": str(named[1])}

    def info(self, *_: str) -> dict[str, str]:
        return dict(word.split("=", 1) for word in self.fleet.info[self.address].split())


@pytest.fixture
def fleet(monkeypatch: pytest.MonkeyPatch) -> Fleet:
    fleet = Fleet()
    monkeypatch.setattr(redis_primary, "Connection", fleet.connection)
    return fleet


def answer(result: dict[str, Any]) -> tuple[str, str]:
    return result["primaries"]["store"], result["sources"]["store"]


def test_on_a_fresh_fleet_the_first_host_is_master(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": None}
    assert answer(fleet.find(capsys, "h1", empty=True)) == ("h1", "inventory")
    assert answer(fleet.find(capsys, "h2", empty=True)) == ("h1", "inventory")


def test_most_of_the_sentinels_that_know_decide(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": ("h1", 9), "h2": ("h2", 1), "h3": ("h2", 1)}
    assert answer(fleet.find(capsys)) == ("h2", "sentinel")


def test_of_two_sentinels_that_differ_the_newer_decides(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": ("h1", 0), "h3": ("h2", 1)}
    assert answer(fleet.find(capsys)) == ("h2", "sentinel")


def test_without_a_sentinel_the_copies_tell_whom_they_follow(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h1": None}
    fleet.info = {
        "h1": "role=master connected_slaves=0",
        "h2": "role=master connected_slaves=1 db0=keys",
        "h3": "role=slave master_host=h2",
    }
    assert answer(fleet.find(capsys)) == ("h2", "instances")


def test_a_host_that_lost_its_data_never_begins_as_master_of_those_that_have_it(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": ("h1", 0), "h3": ("h1", 0)}
    fleet.info = {"h2": "role=slave master_host=h1 db0=keys=3", "h3": "role=slave master_host=h1"}
    result = fleet.find(capsys, "h1", empty=True)
    assert result["failed"]
    assert "h1 should be master of store but has no data, while h2 has" in result["msg"]


def test_a_master_whose_first_run_broke_off_begins_again(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": ("h1", 0)}
    fleet.info = {"h2": "role=slave master_host=h1"}
    assert answer(fleet.find(capsys, "h1", empty=True)) == ("h1", "sentinel")


def test_a_new_host_does_not_guess_while_the_others_know_another_password(fleet: Fleet, capsys: pytest.CaptureFixture[str]) -> None:
    fleet.named = {"h2": ("h2", 0)}
    assert "h2 refuses monitoring" in fleet.find(capsys, "h1", empty=True, password="new")["msg"]
    assert answer(fleet.find(capsys, "h1", empty=False, password="new")) == ("h1", "inventory")


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
