"""Role app's templates, rendered without a host."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar
from flask import Flask, request
from jinja2 import Environment
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from tests.unit.roles.app_role import PRIVATE, rendered
from tests.unit.roles.fleet_variables import trust
from tests.unit.roles.modules import read_yaml


def output_of_sh(script: str, given: str = "") -> str:
    """Run a script with a text on standard input, and return its output."""
    return subprocess.run(["sh", "-euc", script], input=given, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    "value",
    ["plain", "two words", 'a"b', "it's", "a $HOME `id` $(id)", "b\\s\\", "#c", "ends in \\\\", "ü→", "", 8, True],
)
def test_a_value_reaches_the_command_line_tool_unchanged(tmp_path: Path, value: object) -> None:
    file = tmp_path / "env"
    file.write_text(rendered("env.j2", __app_variables={"SECRET_KEY": value}, app_environment={}))
    assert output_of_sh(f'set -a; . {file}; printf %s "$SECRET_KEY"') == str(value)


def test_a_variable_of_the_application_overrides_the_roles_one() -> None:
    text = rendered("env.j2", __app_variables={"LOG_LEVEL": "INFO"}, app_environment={"LOG_LEVEL": "DEBUG"})
    assert [line for line in text.splitlines() if line.startswith("LOG_LEVEL")] == ['LOG_LEVEL="DEBUG"']


def test_a_changed_configuration_file_changes_the_environment_file_without_its_content() -> None:
    texts = [rendered("env.j2", __app_variables={}, app_config_files={"shop.cfg": f"KEY={key}"}) for key in "ab"]
    assert texts[0] != texts[1]
    assert "/shop.cfg: " in texts[0]
    assert "KEY=" not in texts[0]


@pytest.mark.parametrize("template", ["cli.j2", "identity.j2"])
def test_packages_in_the_folder_src_of_a_release_can_be_imported(template: str) -> None:
    (path,) = re.findall(r'PYTHONPATH="?(\S+?)"?$', rendered(template), re.MULTILINE)
    source, src = path.split(":")
    assert src == f"{source}/src"


def test_only_configuration_files_that_are_no_longer_listed_are_removed() -> None:
    saved = ["env", "shop", "gunicorn.conf.py", "app.service", "app.socket", "old.cfg", "shop.cfg"]
    given = {"app_found": {"settings": saved}, "app_config_files": {"shop.cfg": "x"}, "app_name": "shop"}
    role = {name: trust(value) for name, value in read_yaml("roles/app/vars/main.yml").items()}
    assert Templar(DataLoader(), role | given).template(role["__app_former_files"]) == ["old.cfg"]


@pytest.mark.parametrize(("given", "seen"), [("", "unset"), ("\n", "unset"), ("TOKEN=a b=c\n", "a b=c")])
def test_a_command_gets_variables_from_standard_input(given: str, seen: str) -> None:
    (block,) = re.findall(r'^if \[ -n "\$from_stdin" \]; then\n.*?^fi$', rendered("cli.j2"), re.MULTILINE | re.DOTALL)
    assert output_of_sh(f'from_stdin=yes\n{block}\nprintf %s "${{TOKEN-unset}}"', given) == seen


def test_a_setup_command_gets_its_environment_as_one_line_per_variable() -> None:
    tasks: Any = read_yaml("roles/app/tasks/setup.yml")
    given = Environment().from_string(tasks[0]["block"][0]["ansible.builtin.command"]["stdin"])
    assert given.render(item={"command": "x", "environment": {"B": "two words", "A": 1}}) == "A=1\nB=two words"
    assert given.render(item={"command": "x"}) == ""


@pytest.fixture
def gunicorn_settings(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that gunicorn's file defines."""
    monkeypatch.setattr("gunicorn.workers.gthread.STOP_KEEPALIVE_LINGER", 2.0)  # fails if gunicorn has removed it
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process is no worker
    settings: dict[str, Any] = {}
    text = rendered("gunicorn.conf.py.j2", app_domain="shop.test", app_health_path="/readyz")
    exec(compile(text, "gunicorn.conf.py", "exec"), settings)
    return settings


def test_gunicorn_knows_every_setting(gunicorn_settings: dict[str, Any]) -> None:
    variables = {name: value for name, value in gunicorn_settings.items() if not isinstance(value, ModuleType)}
    known = {setting.name for setting in importlib.import_module("gunicorn.config").KNOWN_SETTINGS}
    assert {name for name in variables if not name.startswith("__")} <= known - {"max_requests"}
    assert variables["preload_app"] is True


def test_a_worker_requests_its_health_page_before_it_takes_requests(gunicorn_settings: dict[str, Any]) -> None:
    app, seen = Flask(__name__), []

    @app.get("/readyz")
    def readyz() -> str:
        seen.append(request.url)
        return "ready"

    gunicorn_settings["post_worker_init"](SimpleNamespace(wsgi=app))
    assert seen == ["https://shop.test/readyz"]


def test_a_worker_whose_health_page_fails_serves_anyway(gunicorn_settings: dict[str, Any]) -> None:
    def broken(*_: object) -> list[bytes]:
        raise RuntimeError("no database")

    gunicorn_settings["post_worker_init"](SimpleNamespace(wsgi=broken))


def test_workers_that_die_leave_their_counts_and_no_files(
    gunicorn_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    work = """
from prometheus_client import Counter, Gauge, Histogram
Counter("requests", "", ["rule"]).labels(rule="/").inc(2)
Histogram("seconds", "", buckets=(1, 5)).observe(3)
Gauge("busy", "", multiprocess_mode="livesum").inc()
"""

    def metrics() -> list[str]:
        registry = CollectorRegistry()
        cast("Any", MultiProcessCollector)(registry, str(tmp_path))
        lines = generate_latest(registry).decode().splitlines()
        return sorted(line for line in lines if not line.startswith(("#", "busy")))

    for deaths in (1, 2, 3):
        with subprocess.Popen([sys.executable, "-c", work]) as worker:
            assert worker.wait() == 0
        before = [line for line in metrics() if not line.startswith("busy")]
        gunicorn_settings["child_exit"](None, worker)
        assert metrics() == before
        assert f'requests_total{{rule="/"}} {2.0 * deaths}' in before
        assert f'seconds_bucket{{le="5.0"}} {float(deaths)}' in before
        assert {file.name for file in tmp_path.iterdir()} == {"counter_0.db", "histogram_0.db"}


def test_an_error_in_the_metrics_of_a_dead_worker_does_not_end_gunicorn(
    gunicorn_settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    (tmp_path / "counter_7.db").write_bytes(b"torn")
    gunicorn_settings["child_exit"](None, SimpleNamespace(pid=7))


def test_the_unit_waits_longer_than_gunicorn_for_requests_in_flight() -> None:
    unit = rendered("app.service.j2", app_graceful_timeout=25)
    assert re.findall(r"^TimeoutStopSec=(.*)$", unit, re.MULTILINE) == ["35"]


@pytest.mark.parametrize(
    ("address", "listens"), [("10.0.0.1", ["10.0.0.1:8000", "127.0.0.1:8000"]), ("127.0.0.1", ["127.0.0.1:8000"])]
)
def test_the_socket_listens_once_on_each_address(address: str, listens: list[str]) -> None:
    unit = rendered("app.socket.j2", app_bind_address=address)
    assert re.findall(r"^ListenStream=(.*)$", unit, re.MULTILINE) == listens


def test_the_service_writes_the_fingerprint_that_the_role_compares() -> None:
    """ExecStartPre and __app_fingerprint name the same files in the same order."""
    unit = rendered("app.service.j2").replace("\\\n", "")
    (command,) = re.findall(r"sha1sum (.*) >/run/app/fingerprint", unit)
    wanted = read_yaml("roles/app/vars/main.yml")["__app_fingerprint"]
    for name, value in PRIVATE.items():
        wanted = wanted.replace("{{ " + name + " }}", value)
    assert command.split() == [line.split("  ")[-1] for line in wanted.splitlines()]


def test_the_last_line_of_an_included_file_stays_a_line() -> None:
    """Ansible removes the last newline of an included file, and the newline after the include."""
    lines = rendered("app.service.j2").splitlines()
    assert {"EnvironmentFile=/opt/shop/current/release.env", "SystemCallErrorNumber=EPERM", "[Install]"} <= {*lines}
