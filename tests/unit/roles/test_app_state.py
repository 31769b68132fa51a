"""The module that reads a host's releases and what its services were started with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles.modules import ROLES, Run, load, render

app_state = load(ROLES / "app/library/app_state.py")


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


@pytest.fixture
def read_state(tmp_path: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(app_state, "RUN", tmp_path / "run")
    monkeypatch.setattr(app_state, "SOCKET", tmp_path / "app.socket")
    return lambda **arguments: run_module(app_state, {"home": str(tmp_path), "etc": str(tmp_path / "etc")} | arguments)


def test_a_new_host_has_no_release(tmp_path: Path, read_state: Run) -> None:
    found = read_state(home=str(tmp_path / "missing"))
    empty = {"installed": [], "incomplete": [], "current": "", "set_up": "", "services": {}}
    assert found | empty | {"changed": False} == found


def test_complete_releases_are_listed_apart_from_those_of_an_interrupted_run(tmp_path: Path, read_state: Run) -> None:
    for name, mark in {"b": "1234\nkey\n", "a": "1234\n", "c": None}.items():
        (tmp_path / "releases" / name).mkdir(parents=True)
        if mark:
            (tmp_path / "releases" / name / ".complete").write_text(mark)
    (tmp_path / "current").symlink_to(tmp_path / "releases/b")
    (tmp_path / ".setup").write_text("done\n")
    (tmp_path / ".settings").mkdir()
    (tmp_path / ".settings/env").touch()
    found = read_state()
    assert found["settings"] == ["env"]
    assert (found["installed"], found["incomplete"], found["current"]) == (["a", "b"], ["c"], "b")
    # A release of an earlier version has no key, so no other release can link its dependencies.
    assert found["dependencies"] == {"a": "", "b": "key"}
    assert (found["set_up"], found["socket"]) == (sha1("done\n"), "")


def test_a_service_that_was_not_restarted_is_an_error(tmp_path: Path, read_state: Run) -> None:
    (tmp_path / "current").symlink_to(tmp_path / "releases/b")
    for service, release in {"app": "b", "celery-worker": "a"}.items():
        (tmp_path / "run" / service).mkdir(parents=True)
        read = sha1(f"APP_RELEASE={release}\n")
        (tmp_path / "run" / service / "fingerprint").write_text(f"{read}  /opt/news/current/release.env\n")
    assert read_state(require="b")["msg"] == "celery-worker has another release than b"
    (tmp_path / "run/celery-worker/fingerprint").unlink()
    assert "msg" not in read_state(require="b")
    assert read_state(require="a")["msg"] == "app has another release than a"


def test_a_service_is_identified_by_the_files_that_it_has_read(tmp_path: Path, read_state: Run) -> None:
    text = f"{sha1('x')}  /etc/news/env\n{sha1('APP_RELEASE=a')}  /opt/news/current/release.env\n"
    (tmp_path / "run/celery-worker").mkdir(parents=True)
    (tmp_path / "run/app.socket.fingerprint").write_text("sum")
    (tmp_path / "run/celery-worker/fingerprint").write_text(text)
    found = read_state()
    assert found["socket"] == sha1("sum")
    assert found["services"] == {"celery-worker": {"files": sha1(text), "release": sha1("APP_RELEASE=a")}}


def test_a_host_answers_at_the_port_and_path_of_its_own_files(tmp_path: Path, read_state: Run) -> None:
    """After a failed change of app_port or app_health_path, the restored files differ from the inventory."""
    assert (read_state()["address"], read_state()["health"]) == ("", "")
    values: dict[str, Any] = {"app_bind_address": "192.0.2.1", "app_port": 8001, "app_name": "news"}
    values |= {"app_health_path": "/healthz", "app_domain": "news.test", "app_loadbalancer_addresses": []}
    values |= dict.fromkeys(("app_workers", "app_threads", "app_request_timeout", "app_graceful_timeout"), 1)
    values["app_secret_paths"] = []
    (tmp_path / "etc").mkdir()
    (tmp_path / "app.socket").write_text(render("app", "app.socket.j2", **values))
    (tmp_path / "etc/gunicorn.conf.py").write_text(render("app", "gunicorn.conf.py.j2", app_keepalive=75, **values))
    assert (read_state()["address"], read_state()["health"]) == ("http://127.0.0.1:8001", "/healthz")


def test_the_release_of_a_running_service_is_named(tmp_path: Path, read_state: Run) -> None:
    (tmp_path / "releases/a").mkdir(parents=True)
    (tmp_path / "releases/a/.complete").touch()
    for service, release in {"app": "a", "celery-worker": "removed"}.items():
        (tmp_path / "run" / service).mkdir(parents=True)
        mark = sha1(f"APP_RELEASE={release}\n")
        (tmp_path / "run" / service / "fingerprint").write_text(f"{mark}  /opt/news/current/release.env\n")
    assert read_state()["running"] == {"app": "a", "celery-worker": ""}
