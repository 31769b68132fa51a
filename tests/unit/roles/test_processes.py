"""The processes and timers of an application: preflight, units, and the module that installs them with a release."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins import processes
from tests.unit.roles.modules import ROLES, Run, load, render

module = load(ROLES / "processes/library/process_units.py")
GROUPS = {"app": ["app1"], "workers": ["worker1"], "postgres": ["db1"], "empty": []}
WORKER = {"command": "rq worker", "environment": {"QUEUE": "a b"}, "count": 2}
REPORT = {"command": "flask report", "schedule": "*-*-* 03:00"}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"w": {}}, "app_processes.w has no command; "),
        ({"w": {"command": " "}}, "app_processes.w has no command; "),
        ({"w": {"command": 5}}, "app_processes.w has no command; "),
        ({"w": "rq worker"}, "app_processes.w = 'rq worker' is not a dictionary; "),
        ({"w": {"command": "x", "cuont": 1}}, "app_processes.w has the unknown key cuont; known are command, count, "),
        ({"w": {"command": "x", "count": "two"}}, "app_processes.w.count = 'two' is not a whole number "),
        ({"w": {"command": "x", "count": -1}}, "app_processes.w.count = -1 is not a whole number "),
        ({"w": {"command": "x", "count": True}}, "app_processes.w.count = True is not a whole number "),
        ({"w": {"command": "x", "group": "empty"}}, "app_processes.w.group = empty has no host; "),
        ({"w": {"command": "x", "group": "nosuch"}}, "app_processes.w.group = nosuch has no host; "),
        ({"w": {"command": "x", "group": "postgres"}}, "app_processes.w.group = postgres has hosts without the "),
        ({"w": {"command": "x", "stop_signal": "TERM"}}, "app_processes.w.stop_signal = TERM is not a signal; "),
        ({"w": {"command": "x", "stop_timeout": "1m"}}, "app_processes.w.stop_timeout = '1m' is not a number "),
        ({"w": {"command": "x", "environment": ["A"]}}, "app_processes.w.environment = ['A'] is not a dictionary; "),
        ({"w": {"command": "x", "environment": {"A-B": 1}}}, "app_processes.w.environment: 'A-B' is not the name "),
        ({"my worker": {"command": "x"}}, "app_processes: 'my worker' is not a valid name; "),
        ({"timer-x": {"command": "x"}}, "app_processes: 'timer-x' is not a valid name; "),
        ({1: {"command": "x"}}, "app_processes: 1 is not a valid name; "),
        ({"web": {"command": "x"}}, "app_processes.web cannot be a process: it is gunicorn; set app_module."),
        ({"release": {"command": "x"}}, "app_processes.release cannot be a process: set app_release_command."),
        (["w"], "app_processes = ['w'] is not a dictionary of names; "),
    ],
)
def test_a_mistake_in_a_process_is_one_sentence(entry: Any, message: str) -> None:
    (sentence,) = processes.wrong({"app_processes": entry}, GROUPS)
    assert sentence.startswith(message)
    assert sentence.endswith(".")


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"t": {"command": "x"}}, "app_timers.t has no schedule; "),
        ({"t": {"schedule": "daily"}}, "app_timers.t has no command; "),
        ({"t": {"command": "x", "schedule": "daily", "timeout": 0}}, "app_timers.t.timeout = 0 is not a number "),
        ({"t": {"command": "x", "schedule": "daily", "cmd": 0}}, "app_timers.t has the unknown key cmd; "),
        pytest.param(
            {"t": {"command": "x", "schedule": "0 3 * * *"}},
            "app_timers.t.schedule = '0 3 * * *' is not a calendar expression of systemd; ",
            marks=pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd"),
        ),
    ],
)
def test_a_mistake_in_a_timer_is_one_sentence(entry: Any, message: str) -> None:
    (sentence,) = processes.wrong({"app_timers": entry}, GROUPS)
    assert sentence.startswith(message)


def test_good_processes_and_timers_have_no_mistake() -> None:
    assert processes.wrong({"app_processes": {"w": WORKER, "l_2": {"command": "x", "group": "app"}}}, GROUPS) == []
    assert processes.wrong({"app_timers": {"report": REPORT}}, GROUPS) == []
    assert processes.wrong({}, GROUPS) == []


@pytest.mark.parametrize(
    "command", ["rq worker", 'sh -c "a b"', "a 100%", "back\\slash", "$HOME ${X}", "two\nlines", "é"]
)
def test_a_command_reaches_the_shell_unchanged(command: str) -> None:
    """Read the word like systemd: C escapes in double quotes, then %% as %."""
    word = processes.quoted(command)
    assert word[0] == word[-1] == '"'
    inner = word[1:-1].replace("%%", "%").encode().decode("unicode_escape").encode("latin-1").decode()
    assert inner == command


def files(**given: Any) -> dict[str, str]:
    """The files of a release with these processes and timers."""
    here = processes.processes_of({name: WORKER | own for name, own in given.get("here", {}).items()}, ["workers"])
    variables: dict[str, Any] = {"app_name": "shop", "app_user": "shop-app", "processes_here": here}
    variables["app_writable_paths"] = ["/srv/shop/uploads"]
    variables["processes_timers"] = processes.timers(given.get("timers", {}))
    text = render("processes", "units.yml.j2", ansible_managed="Written by Flaskfleet's roles.", **variables)
    return yaml.safe_load(text) or {}


def test_the_target_wants_every_instance_and_every_timer() -> None:
    found = files(here={"worker": {}}, timers={"report": REPORT})
    assert set(found) == {
        "app-worker@.service",
        "worker.env",
        "app-timer-report.service",
        "app-timer-report.timer",
        "app-processes.target",
    }
    assert module.wanted(found) == ["app-worker@1.service", "app-worker@2.service", "app-timer-report.timer"]
    assert found["worker.env"] == 'QUEUE="a b"\n'
    assert files() == {}


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    if not (program := shutil.which("systemd-analyze")):
        pytest.skip("no systemd")
    for name, text in files(here={"worker": {}}, timers={"report": REPORT}).items():
        (tmp_path / name.replace("@.", "@1.")).write_text(text.replace("/opt/shop/current", str(tmp_path)))
    units = [str(path) for path in tmp_path.glob("app-[wt]*[re]")]
    done = subprocess.run([program, "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert "app-" not in done.stderr, done.stderr


Host = Callable[..., dict[str, Any]]


@pytest.fixture
def host(tmp_path: Path, run_module: Run, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with the release `a`. Return its module."""
    monkeypatch.setattr(module, "RUN", tmp_path / "run")
    monkeypatch.setattr(module, "SYSTEM", tmp_path / "system")
    log = tmp_path / "systemctl.log"

    def run_command(_: Any, command: list[str], **__: Any) -> tuple[int, str, str]:
        with log.open("a") as file:
            file.write(" ".join(command) + "\n")
        failed = tmp_path / "failed"
        if "list-units" in command:
            return 0, failed.read_text() if failed.exists() else "", ""
        return 0, "active\n", ""

    monkeypatch.setattr(module.AnsibleModule, "run_command", run_command)
    (tmp_path / "system").mkdir()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/env").write_text("A=1\n")
    for release in ("a", "b"):
        (tmp_path / "home/releases" / release).mkdir(parents=True)
    arguments = {"home": str(tmp_path / "home"), "etc": str(tmp_path / "etc"), "release": "a"}
    return lambda do, check=False, **given: run_module(module, arguments | {"do": do} | given, check=check)


def start(folder: Path, unit: str, release: str = "a") -> None:
    """What the unit of a process does at its start."""
    template = unit.replace("@1", "@")
    name = template.removeprefix("app-").removesuffix("@")
    own = folder / f"home/releases/{release}/units/{name}.env"
    sums = {
        folder / "etc/env": (folder / "etc/env").read_bytes(),
        folder / "home/current/release.env": f"APP_RELEASE={release}\n".encode(),
        folder / f"system/{template}.service": (folder / f"system/{template}.service").read_bytes(),
        folder / f"home/current/units/{name}.env": own.read_bytes(),
    }
    (folder / "run" / unit).mkdir(parents=True, exist_ok=True)
    lines = [f"{hashlib.sha1(content).hexdigest()}  {path}\n" for path, content in sums.items()]
    (folder / "run" / unit / "fingerprint").write_text("".join(lines))


def fail(folder: Path, *units: str) -> None:
    """Let systemd list units that have failed."""
    (folder / "failed").write_text("".join(f"{unit} loaded failed failed A process\n" for unit in units))


def forgotten(folder: Path) -> list[str]:
    """The units whose failure was reset."""
    lines = (folder / "systemctl.log").read_text().splitlines() if (folder / "systemctl.log").exists() else []
    return [unit for line in lines if "reset-failed" in line for unit in line.split()[2:]]


def test_a_host_is_stale_until_it_runs_the_units_of_its_release(host: Host, tmp_path: Path) -> None:
    one = files(here={"worker": {"count": 1}})
    assert host("prepare", files=one)["stale"]
    assert not (tmp_path / "system/app-worker@.service").exists(), "the old release serves"
    installed = host("install")
    assert (installed["wanted"], installed["stale"]) == (["app-worker@1.service"], True)
    start(tmp_path, "app-worker@1")
    assert not host("install")["changed"]
    again = host("prepare", files=one)
    assert (again["stale"], again["changed"]) == (False, False)
    assert (tmp_path / "home/releases/a/units/worker.env").stat().st_mode & 0o777 == 0o600
    (tmp_path / "etc/env").write_text("A=2\n")
    assert host("prepare", files=one)["stale"], "the process was started with another environment"


def test_a_release_without_a_process_stops_it_and_removes_its_unit(host: Host, tmp_path: Path) -> None:
    host("prepare", files=files(here={"worker": {"count": 1}}, timers={"report": REPORT}))
    host("install")
    start(tmp_path, "app-worker@1")
    (tmp_path / "system/app-mine@.service").write_text("[Service]\n")
    fail(tmp_path, "app-worker@1.service", "app-timer-report.service", "app-mine@1.service")
    gone = host("install", release="b")
    assert set(gone["stopped"]) == {"app-worker@1.service", "app-timer-report.timer", "app-processes.target"}
    assert [path.name for path in (tmp_path / "system").iterdir()] == ["app-mine@.service"]
    assert forgotten(tmp_path) == ["app-worker@1.service", "app-timer-report.service"]
    back = host("install")
    assert back["wanted"] == ["app-worker@1.service", "app-timer-report.timer"], "a rollback brings them back"


def test_an_instance_that_failed_and_is_no_longer_wanted_is_forgotten(host: Host, tmp_path: Path) -> None:
    host("prepare", files=files(here={"worker": {"count": 2}}))
    host("install")
    fail(tmp_path, "app-worker@1.service", "app-worker@2.service")
    host("install")
    assert forgotten(tmp_path) == []
    host("prepare", files=files(here={"worker": {"count": 1}}))
    host("install")
    assert forgotten(tmp_path) == ["app-worker@2.service"]


def test_units_that_failed_are_replaced_by_those_of_the_last_success(host: Host, tmp_path: Path) -> None:
    good = files(here={"worker": {"count": 1}})
    host("prepare", files=good)
    host("keep")
    host("prepare", files=files(here={"worker": {"command": "broken"}}))
    assert host("restore")["changed"]
    assert module.contents(tmp_path / "home/releases/a/units") == good


def test_check_mode_changes_nothing(host: Host, tmp_path: Path) -> None:
    assert host("prepare", check=True, files=files(here={"worker": {}}))["stale"]
    assert not (tmp_path / "home/releases/a/units").exists()


@pytest.mark.parametrize(
    ("command", "queues"),
    [
        ("rq worker --url $REDIS_URL letters high", ["rq:queue:letters", "rq:queue:high"]),
        ("rq worker", ["rq:queue:default"]),
        ("rq worker --with-scheduler -q low", ["rq:queue:low"]),
        ("celery -A shop worker -B", ["celery"]),
        ("venv/bin/celery -A shop worker -Q a,b", ["a", "b"]),
        ("dramatiq shop.tasks", ["dramatiq:default"]),
        ("python -m shop.listener", []),
    ],
)
def test_the_queues_of_known_workers_are_found(command: str, queues: list[str]) -> None:
    assert processes.queues_of(command) == queues
    assert processes.queues({"w": {"command": command}, "again": {"command": command}}, "") == queues


def test_celerys_queues_are_those_of_its_setting() -> None:
    assert processes.queues({}, "shop:celery") == ["celery"]
    assert processes.queues({}, "shop:celery", ["low"]) == ["low"]
