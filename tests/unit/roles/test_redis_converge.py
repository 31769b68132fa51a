"""Which settings and users role redis changes on a running instance, tested against a small server."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.unit.roles.redis_modules import (
    ACL,
    LOGIN,
    Server,
    connection,
    redis_instance,
    redis_primary,
    redis_sentinel,
    redis_switchover,
    run,
)


class Instance:
    """The state of a Redis instance."""

    def __init__(self, role: str = "master", immutable: Iterable[str] = (), **settings: str) -> None:
        self.immutable = set(immutable)
        self.settings = {name.replace("_", "-"): value for name, value in settings.items()}
        self.acl = list(ACL)
        self.file_acl = list(ACL)
        self.replication = (
            f"# Replication\r\nrole:{role}\r\nmaster_host:10.0.0.9\r\nmaster_port:6380\r\nmaster_link_status:up\r\n"
        )

    def __call__(self, words: list[str]) -> Any:
        match words:
            case ["ACL", "LIST"]:
                return self.acl
            case ["ACL", "LOAD"]:
                self.acl = self.file_acl
                return "OK"
            case ["CONFIG", "GET", *names]:
                return {name: self.settings[name] for name in names if name in self.settings}
            case ["CONFIG", "SET", *pairs] if immutable := set(pairs[::2]) & self.immutable:
                cause = f"possibly related to argument '{min(immutable)}'"
                return ValueError(f"ERR CONFIG SET failed ({cause}) - can't set immutable config")
            case ["CONFIG", "SET", *pairs]:
                given = dict(zip(pairs[::2], pairs[1::2], strict=True))
                self.settings |= {name: value.replace("64mb", "67108864") for name, value in given.items()}
                return "OK"
            case ["INFO", *_]:
                return self.replication
        return "OK"


@pytest.fixture
def converge(
    serve: Callable[..., Server], acl_file: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., dict[str, Any]]:
    def converge(instance: Instance, check: bool = False, loading: int = 0, **arguments: Any) -> dict[str, Any]:
        server = serve(instance)
        server.loading = loading
        given = (
            LOGIN | {"login_port": server.port, "acl_file": str(acl_file), "config": {}, "link_timeout": 1} | arguments
        )
        return run(redis_instance, given, capsys, check) | {"written": server.written()}

    return converge


def test_a_correct_instance_is_not_changed(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(
        Instance(maxmemory="100", bind="10.0.0.1 127.0.0.1"),
        config={"maxmemory": 100, "bind": ["10.0.0.1", "127.0.0.1"]},
    )
    assert (result["changed"], result["written"]) == (False, [])


def test_only_settings_that_differ_are_set_and_saved(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(
        Instance(maxmemory="100", appendonly="no", save=""), config={"maxmemory": 100, "appendonly": True, "save": ""}
    )
    assert result["settings"] == ["appendonly"]
    assert result["written"] == ["CONFIG SET appendonly yes", "CONFIG REWRITE"]


def test_check_mode_reports_changes_without_making_them(converge: Callable[..., dict[str, Any]]) -> None:
    instance = Instance(maxmemory="100")
    instance.acl = ACL[1:]
    result = converge(instance, check=True, config={"maxmemory": 200})
    assert (result["changed"], result["settings"], result["acl"], result["written"]) == (True, ["maxmemory"], True, [])


def test_a_value_that_redis_returns_in_another_form_is_not_a_change(converge: Callable[..., dict[str, Any]]) -> None:
    assert not converge(Instance(maxmemory="67108864"), config={"maxmemory": "64mb"})["changed"]


def test_an_unknown_setting_is_an_error(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(maxmemory="100"), config={"maxmemory": 100, "maxmemry": 1})
    assert "no setting named maxmemry" in result["msg"]


THREADS = {"maxmemory": 200, "io-threads": 2, "databases": 4}


def threaded() -> Instance:
    return Instance(immutable=["io-threads", "databases"], maxmemory="100", io_threads="1", databases="16")


def test_settings_read_only_at_start_are_reported_and_the_others_are_set(
    converge: Callable[..., dict[str, Any]],
) -> None:
    result = converge(threaded(), config=THREADS)
    assert (result["restart"], result["settings"], result["changed"]) == (
        ["databases", "io-threads"],
        ["maxmemory"],
        True,
    )
    assert result["written"][-2:] == ["CONFIG SET maxmemory 200", "CONFIG REWRITE"]


def test_settings_read_only_at_start_are_written_to_the_file_before_a_restart(
    converge: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    file = tmp_path / "store.conf"
    file.write_text("port 6380\nio-threads 1\nio-threads-do-reads no\n")
    written = converge(threaded(), config={"io-threads": 2, "databases": 4}, config_file=str(file))["written"]
    assert written[-1] == "CONFIG REWRITE", "the file must also have the current master"
    assert file.read_text() == "port 6380\nio-threads-do-reads no\ndatabases 4\nio-threads 2\n"


def test_a_secret_setting_is_not_in_the_result(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(masterauth="old"), secret_config={"masterauth": "the-new-one"})
    assert result.pop("written") == ["CONFIG SET masterauth the-new-one", "CONFIG REWRITE"]
    assert result["settings"] == ["masterauth"]
    assert "the-new-one" not in json.dumps(result)


def test_the_acl_file_is_loaded_if_it_has_other_users(converge: Callable[..., dict[str, Any]]) -> None:
    instance = Instance()
    instance.acl = ACL[1:]
    result = converge(instance)
    assert (result["acl"], result["written"]) == (True, ["ACL LOAD"])


def test_the_error_about_a_broken_link_names_the_master(converge: Callable[..., dict[str, Any]]) -> None:
    instance = Instance("slave")
    instance.replication = instance.replication.replace("status:up", "status:down")
    assert "no link to the master 10.0.0.9:6380" in converge(instance)["msg"]


def test_a_rejected_login_is_reported_and_nothing_is_changed(converge: Callable[..., dict[str, Any]]) -> None:
    result = converge(Instance(maxmemory="1"), config={"maxmemory": 2}, login_password="another")
    assert (result["login_rejected"], result["changed"], result["written"]) == (True, False, [])


@pytest.mark.parametrize("check", [True, False])
def test_a_stopped_instance_is_an_error_except_in_check_mode(
    check: bool, serve: Callable[..., Server], acl_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = serve(Instance())
    server.shutdown()
    server.server_close()
    arguments = LOGIN | {"login_port": server.port, "acl_file": str(acl_file), "config": {}, "link_timeout": 0}
    result = run(redis_instance, arguments, capsys, check)
    assert ("does not answer" in result.get("msg", "")) is not check


def test_a_server_that_loads_its_data_is_waited_for(converge: Callable[..., dict[str, Any]]) -> None:
    assert converge(Instance(maxmemory="100"), config={"maxmemory": 200}, loading=2)["changed"]


def test_a_missing_library_is_an_error_that_names_its_package(
    converge: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "redis", None)
    monkeypatch.setattr(connection, "IMPORT_ERROR", "no module named redis", raising=False)
    assert "On Debian it is python3-redis" in converge(Instance())["msg"]


MODULES = [redis_primary, redis_instance, redis_sentinel, redis_switchover]


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_documents_every_option(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    documented = yaml.safe_load(module.DOCUMENTATION)["options"]
    given: dict[str, Any] = {}
    monkeypatch.setattr(connection, "AnsibleModule", lambda argument_spec, **_: given.update(argument_spec) or exit(0))
    with pytest.raises(SystemExit):
        module.main()
    assert documented.keys() == given.keys()
    for name, option in given.items():
        assert documented[name]["type"] == option["type"], name
        assert documented[name].get("required", False) == option.get("required", False), name
        assert documented[name].get("default") == option.get("default"), name
        assert documented[name].get("suboptions", {}).keys() == option.get("options", {}).keys(), name
