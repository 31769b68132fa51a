"""`bin/fleet logs`: parsing, merging by time and following."""

import json
import os
import signal
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.unit.tools.verb_fleet import VerbFleet
from tools.fleet.context import ROOT
from tools.fleet.verbs import log_entries
from tools.fleet.verbs.log_entries import Entry, Window

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)


def journal(seconds: float, unit: str, message: object) -> str:
    time = int((NOW.timestamp() + seconds) * 1e6)
    return json.dumps({"__REALTIME_TIMESTAMP": str(time), "_SYSTEMD_UNIT": unit, "MESSAGE": message}) + "\n"


def access(seconds: int, uri: str, identity: str = "id-1") -> str:
    entry = {"time": (NOW + timedelta(seconds=seconds)).isoformat(), "request_id": identity, "client": "192.0.2.7"}
    entry |= {"method": "GET", "host": "shop.test", "uri": uri, "upstream_addr": "10.0.0.21:8000", "cache": ""}
    return json.dumps(entry | {"status": 200, "bytes": 12, "request_time": 0.012}) + "\n"


@pytest.fixture
def fleet(tmp_path: Path) -> VerbFleet:
    fleet = VerbFleet(tmp_path)
    (tmp_path / "journalctl-10.0.0.21").write_text(
        journal(1, "app.service", "first") + journal(3, "app.service", "third\nwith \x1b[31m two lines") + "no entry\n"
    )
    (tmp_path / "journalctl-10.0.0.31").write_text(
        journal(2, "celery-worker.service", [115, 101, 99, 255]) + journal(4, "app-mailer@2.service", None)
    )
    for host in ("10.0.0.11", "10.0.0.12"):
        (tmp_path / f"nginx-{host}").mkdir()
    (tmp_path / "nginx-10.0.0.11/access.log.1").write_text(access(-9, "/rotated"))
    (tmp_path / "nginx-10.0.0.11/access.log").write_text(access(0, "/old") + access(5, "/new", "id.2"))
    return fleet


def test_entries_of_all_hosts_are_merged_by_time(fleet: VerbFleet) -> None:
    result = fleet.run("logs")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "2026-11-29T12:00:01.000Z app1 web: first",
        "2026-11-29T12:00:02.000Z worker1 worker: sec\ufffd",
        "2026-11-29T12:00:03.000Z app1 web: third",
        "2026-11-29T12:00:03.000Z app1 web: with \\x1b[31m two lines",
        "2026-11-29T12:00:04.000Z worker1 mailer.2: ",
    ]
    assert all("<--lines=100>" in call and "<--unit=app-*.service>" in call for call in fleet.calls())
    found = json.loads(fleet.run("logs", "--json", "-n", "1", "--since", "2026-11-29T12:00:02Z").stdout)
    assert found == {"time": "2026-11-29T12:00:04.000Z", "host": "worker1", "process": "mailer.2", "message": ""}


def test_a_process_is_read_from_its_own_units(fleet: VerbFleet) -> None:
    fleet.run("logs", "mailer", "--grep", "Err.r", "--since", "2026-11-29T12:00:00+00:00", "--host", "worker1")
    (call,) = fleet.calls()
    assert "<--unit=app-mailer@*.service> <--unit=app-timer-mailer.service>" in call
    assert f"<--since=@{NOW.timestamp():.0f}> <--grep=Err.r>" in call
    assert "--lines" not in call
    fleet.run("logs", "--unit", "patroni", "--host", "db1")
    assert "10.0.0.41 journalctl" in (calls := fleet.calls())[0]
    assert "<--unit=patroni.service>" in calls[0]


def test_nginx_and_single_requests_are_found(fleet: VerbFleet) -> None:
    lines = fleet.run("logs", "nginx", "--since", "2026-11-29T11:59:55Z").stdout.splitlines()
    assert lines == [
        "2026-11-29T12:00:00.000Z lb1 nginx: 192.0.2.7 GET shop.test/old 200 12B 0.012s by 10.0.0.21:8000 request id-1",
        "2026-11-29T12:00:05.000Z lb1 nginx: 192.0.2.7 GET shop.test/new 200 12B 0.012s by 10.0.0.21:8000 request id.2",
    ]
    found = fleet.run("logs", "--request", "id.2", "--since", "2026-11-29T11:00:00Z").stdout
    assert "shop.test/new" in found
    assert "shop.test/old" not in found
    assert any(r"<--grep=id\.2>" in call and call.startswith("10.0.0.21") for call in fleet.calls())


def test_a_host_that_is_down_is_reported_after_the_logs_of_the_others(fleet: VerbFleet) -> None:
    result = fleet.run("logs", DOWN="10.0.0.31")
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "error: worker1 did not print its logs: ssh: connect to host 10.0.0.31: timed out\n"


def test_followed_logs_end_with_an_interrupt(fleet: VerbFleet) -> None:
    (fleet.root / "fakes/journalctl").write_text(
        '#!/bin/sh\ncat "$(dirname "$0")/../journalctl-$HOST"\nexec sleep 60\n'
    )
    with subprocess.Popen(
        ["env", "--default-signal=INT", ROOT / "bin/fleet", "logs", "-f"],  # a shell's background ignores it
        env=fleet.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        assert process.stderr
        lines = [process.stdout.readline() for _ in range(5)]
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130
        assert "Traceback" not in process.stderr.read()
    assert lines == sorted(lines)


def test_a_window_orders_what_arrives_at_nearly_the_same_time() -> None:
    window = Window(0.5)

    def entry(seconds: int) -> Entry:
        return Entry(NOW + timedelta(seconds=seconds), "app1", "web", str(seconds))

    window.add(entry(3), 0.0)
    window.add(entry(1), 0.1)
    assert list(window.due(0.4)) == []
    window.add(entry(4), 0.45)
    assert [one.message for one in window.due(0.5)] == ["1", "3"]
    assert [one.message for one in window.due(1.0)] == ["4"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - timedelta(seconds=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-11-29T10:00:00Z", NOW - timedelta(hours=2)),
        ("2026-11-29T12:00:00+02:00", NOW - timedelta(hours=2)),
        ("9:30", NOW.astimezone().replace(hour=9, minute=30)),
    ],
)
def test_since_understands_periods_and_times(text: str, expected: datetime) -> None:
    assert log_entries.since(text, NOW) == expected
