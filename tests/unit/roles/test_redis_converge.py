"""Which settings and users role redis changes on a running instance, tested against a small server."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.support.sockets import free_port
from tests.unit.roles.modules import Run
from tests.unit.roles.redis_modules import ACL, LOGIN, MODULES, Server, connection, redis_instance


class Instance:
    """The state of a Redis instance."""

    def __init__(self, settings: dict[str, str], acl: list[str] = ACL, immutable: Sequence[str] = ()) -> None:
        self.settings, self.acl, self.immutable = dict(settings), acl, set(immutable)
        self.replication = "role:master\r\n"

    def __call__(self, words: list[str]) -> Any:
        match words:
            case ["ACL", "LIST"]:
                return self.acl
            case ["ACL", "LOAD"]:
                self.acl = ACL
            case ["CONFIG", "GET", *names]:
                return {name: self.settings[name] for name in names if name in self.settings}
            case ["CONFIG", "SET", *pairs] if immutable := set(pairs[::2]) & self.immutable:
                cause = f"possibly related to argument '{min(immutable)}'"
                return ValueError(f"ERR CONFIG SET failed ({cause}) - can't set immutable config")
            case ["CONFIG", "SET", *pairs]:
                given = dict(zip(pairs[::2], pairs[1::2], strict=True))
                self.settings |= {name: value.replace("64mb", "67108864") for name, value in given.items()}
            case ["INFO", *_]:
                return self.replication
        return "OK"


@pytest.fixture
def converge(serve: Callable[..., Server], acl_file: Path, run_module: Run) -> Run:
    def converge(instance: Instance, check: bool = False, loading: int = 0, **arguments: Any) -> dict[str, Any]:
        server = serve(instance)
        server.loading = loading
        given = {"login_port": server.port, "acl_file": str(acl_file), "config": {}, "link_timeout": 1}
        return run_module(redis_instance, LOGIN | given | arguments, check) | {"written": server.written()}

    return converge


SMALL, LARGE = {"maxmemory": "100"}, {"maxmemory": 200}


@pytest.mark.parametrize(
    ("settings", "arguments", "expected"),
    [
        pytest.param(
            SMALL | {"bind": "10.0.0.1 127.0.0.1"},
            {"config": {"maxmemory": 100, "bind": ["10.0.0.1", "127.0.0.1"]}},
            {"changed": False, "written": []},
            id="a correct instance",
        ),
        pytest.param(
            SMALL | {"appendonly": "no", "save": ""},
            {"config": {"maxmemory": 100, "appendonly": True, "save": ""}},
            {"settings": ["appendonly"], "written": ["CONFIG SET appendonly yes", "CONFIG REWRITE"]},
            id="one setting differs",
        ),
        pytest.param(
            {"maxmemory": "67108864"}, {"config": {"maxmemory": "64mb"}}, {"changed": False}, id="only the form differs"
        ),
        pytest.param(
            SMALL,
            {"config": LARGE, "login_password": "another"},
            {"login_rejected": True, "changed": False, "written": []},
            id="the login is rejected",
        ),
        pytest.param(SMALL, {"config": LARGE, "loading": 2}, {"changed": True}, id="the server loads its data"),
        pytest.param(
            {"tls-cert-file": "/c", "tls-key-file": "/k"},
            {"config": {"tls-cert-file": "/c", "tls-key-file": "/k"}, "reload": ["tls-cert-file", "tls-key-file"]},
            {
                "settings": ["tls-cert-file", "tls-key-file"],
                "written": ["CONFIG SET tls-cert-file /c tls-key-file /k", "CONFIG REWRITE"],
            },
            id="its certificate was renewed",
        ),
    ],
)
def test_only_settings_that_differ_are_set_and_saved(
    converge: Run, settings: dict[str, str], arguments: dict[str, Any], expected: dict[str, Any]
) -> None:
    result = converge(Instance(settings), **arguments)
    assert result | expected == result


def test_the_acl_file_is_loaded_if_it_has_other_users(converge: Run) -> None:
    result = converge(Instance({}, ACL[1:]))
    assert (result["acl"], result["written"]) == (True, ["ACL LOAD"])


def test_check_mode_reports_changes_without_making_them(converge: Run) -> None:
    result = converge(Instance(SMALL, ACL[1:]), check=True, config=LARGE)
    assert (result["changed"], result["settings"], result["acl"], result["written"]) == (True, ["maxmemory"], True, [])


def test_settings_read_only_at_start_are_reported_and_the_others_are_set(converge: Run, tmp_path: Path) -> None:
    file = tmp_path / "store.conf"
    file.write_text("port 6380\nio-threads 1\nio-threads-do-reads no\n")
    instance = Instance(SMALL | {"io-threads": "1", "databases": "16"}, immutable=["io-threads", "databases"])
    at_start = {"io-threads": 2, "databases": 4}
    result = converge(instance, config=LARGE | at_start)
    assert (result["restart"], result["settings"]) == (["databases", "io-threads"], ["maxmemory"])
    assert result["written"][-2:] == ["CONFIG SET maxmemory 200", "CONFIG REWRITE"]

    result = converge(instance, config=at_start, config_file=str(file))
    assert result["changed"]
    assert result["written"][-1] == "CONFIG REWRITE", "the file must also have the current master"
    assert file.read_text() == "port 6380\nio-threads-do-reads no\ndatabases 4\nio-threads 2\n"


def test_a_secret_setting_is_not_in_the_result(converge: Run) -> None:
    result = converge(Instance({"masterauth": "old"}), secret_config={"masterauth": "the-new-one"})
    assert result.pop("written") == ["CONFIG SET masterauth the-new-one", "CONFIG REWRITE"]
    assert result["settings"] == ["masterauth"]
    assert "the-new-one" not in json.dumps(result)


def test_the_error_about_an_unknown_setting_names_it(converge: Run) -> None:
    assert "no setting named maxmemry" in converge(Instance(SMALL), config={"maxmemory": 100, "maxmemry": 1})["msg"]


def test_the_error_about_a_broken_link_names_the_master(converge: Run) -> None:
    instance = Instance({})
    instance.replication = "role:slave\r\nmaster_host:10.0.0.9\r\nmaster_port:6380\r\nmaster_link_status:down\r\n"
    assert "no link to the master 10.0.0.9:6380" in converge(instance)["msg"]


@pytest.mark.parametrize("check", [True, False])
def test_a_stopped_instance_is_an_error_except_in_check_mode(converge: Run, check: bool) -> None:
    result = converge(Instance({}), check, login_port=free_port(), link_timeout=0)
    assert ("does not answer" in result.get("msg", "")) is not check


def test_a_missing_library_is_an_error_that_names_its_package(converge: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "redis", None)
    monkeypatch.setattr(connection, "IMPORT_ERROR", "no module named redis", raising=False)
    assert "On Debian it is python3-redis" in converge(Instance({}))["msg"]


def facts(options: dict[str, Any], nested: str) -> dict[str, tuple[Any, ...]]:
    """Return what a module's documentation and its argument_spec must agree on."""
    return {
        name: (option["type"], option.get("required", False), option.get("default"), set(option.get(nested, {})))
        for name, option in options.items()
    }


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_module_documents_every_option(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr(connection, "AnsibleModule", lambda argument_spec, **_: given.update(argument_spec) or exit(0))
    with pytest.raises(SystemExit):
        module.main()
    assert facts(yaml.safe_load(module.DOCUMENTATION)["options"], "suboptions") == facts(given, "options")
