"""The module that reads a host's releases and what its services were started with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.unit.roles import modules
from tests.unit.roles.modules import ROLES

app_state = modules.load("app_state", ROLES / "app/library/app_state.py")


def sha1(text: str) -> str:
    return hashlib.sha1(text.encode()).hexdigest()


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_state, "RUN", tmp_path / "run")


def read_state(home: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    result = modules.run(app_state, {"home": str(home)}, capsys)
    assert not result["changed"]
    return result


def test_a_new_host_has_no_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = read_state(tmp_path / "missing", capsys)
    assert (found["installed"], found["incomplete"], found["current"], found["set_up"], found["services"]) == (
        [],
        [],
        "",
        "",
        {},
    )


def test_complete_releases_are_listed_apart_from_those_of_an_interrupted_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, mark in {"b": "1234\nkey\n", "a": "1234\n", "c": None}.items():
        (tmp_path / "releases" / name).mkdir(parents=True)
        if mark:
            (tmp_path / "releases" / name / ".complete").write_text(mark)
    (tmp_path / "current").symlink_to(tmp_path / "releases/b")
    (tmp_path / ".setup").write_text("done\n")
    (tmp_path / ".settings").mkdir()
    (tmp_path / ".settings/env").touch()
    found = read_state(tmp_path, capsys)
    assert found["settings"] == ["env"]
    assert (found["installed"], found["incomplete"], found["current"]) == (["a", "b"], ["c"], "b")
    # A release of an earlier version has no key, so no other release can link its dependencies.
    assert found["dependencies"] == {"a": "", "b": "key"}
    assert (found["set_up"], found["socket"]) == (sha1("done\n"), "")


def test_a_service_that_was_not_restarted_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def require(release: str) -> Any:
        return modules.run(app_state, {"home": str(tmp_path), "require": release}, capsys).get("msg")

    (tmp_path / "current").symlink_to(tmp_path / "releases/b")
    for service, release in {"app": "b", "celery-worker": "a"}.items():
        (tmp_path / "run" / service).mkdir(parents=True)
        read = sha1(f"APP_RELEASE={release}\n")
        (tmp_path / "run" / service / "fingerprint").write_text(f"{read}  /opt/news/current/release.env\n")
    assert require("b") == "celery-worker has another release than b"
    (tmp_path / "run/celery-worker/fingerprint").unlink()
    assert require("b") is None
    assert require("a") == "app has another release than a"


def test_a_service_is_identified_by_the_files_that_it_has_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = f"{sha1('x')}  /etc/news/env\n{sha1('APP_RELEASE=a')}  /opt/news/current/release.env\n"
    (tmp_path / "run/celery-worker").mkdir(parents=True)
    (tmp_path / "run/app.socket.fingerprint").write_text("sum")
    (tmp_path / "run/celery-worker/fingerprint").write_text(text)
    found = read_state(tmp_path, capsys)
    assert found["socket"] == sha1("sum")
    assert found["services"] == {"celery-worker": {"files": sha1(text), "release": sha1("APP_RELEASE=a")}}
