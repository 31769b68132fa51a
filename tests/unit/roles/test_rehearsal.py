"""A rehearsal of a restore proves that a backup can be used, or reports why not, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from plugins.filter.backups import OTHER_PASS, backup_failed_rehearsals, backup_rehearsals
from tests.unit.roles.modules import ROLES, load

check = load(ROLES / "pgbackrest/files/backup_check.py")
VERIFY = """\
stanza: main
status: {0}
  archiveId: 17-1, total WAL checked: 12, total valid WAL: 12
    missing: 0, checksum invalid: 0, size invalid: 0, other: 0
  backup: 20261122F, status: {1}, total files checked: 5, total valid files: {2}
    missing: 0, checksum invalid: 1, size invalid: 0, other: 0
"""
# Postgres stops at SIGINT, also if the tests run in the background of a shell, which ignores it.
SERVER = "exec env --default-signal=INT sleep 60"
# The programs of a host, each with what it prints and its exit code.
GOOD = {
    "pgbackrest": "case $* in *restore) echo $* >$ANSWERS/restore;; *) for last; do :; done; cat $ANSWERS/$last; esac",
    "postgres": SERVER,
    "psql": "case $* in *pg_is_in_recovery*) echo f;; *) date +%s; esac",
    "pg_amcheck": "exit 0",
}
RESTORE_FAILS = "case $* in *info) cat $ANSWERS/info;; *) echo 'P00  ERROR: [029]: unable to decrypt'; exit 29; esac"
# With a repository that cannot be read, `info` succeeds.
UNREADABLE = """echo '[{{"backup": [], "repo": [{{"status": {{"code": 99, "message": "{}"}}}}]}}]'"""
NO_KEY = "[FormatError] key/value found outside of section at line 1: ?3?A"


class Host:
    """The host of the repository."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.programs, self.scratch, self.running = (folder / name for name in ("bin", "scratch", "run"))
        for path in (self.programs, self.scratch, self.running):
            path.mkdir()
        self.answers = folder
        stops = {"20261122F": 1, "20261122F_20261123D": 2}
        backups = [{"label": label, "timestamp": {"stop": stop}, "info": {"size": 10}} for label, stop in stops.items()]
        (folder / "info").write_text(json.dumps([{"backup": backups}]))
        self.settings: dict[str, Any] = {
            "stanza": "main",
            "repositories": 1,
            "programs": str(self.programs),
            "folder": str(self.scratch),
            "max_data_age_seconds": 900,
            "postgres": {"fsync": "off"},
        }
        self.install(**GOOD)
        monkeypatch.setenv("PATH", f"{self.programs}:{os.environ['PATH']}")
        monkeypatch.setenv("ANSWERS", str(folder))
        monkeypatch.setattr(check, "RESULTS", folder / "results.json")
        monkeypatch.setattr(check, "INTERVAL", 0.01)

    def install(self, **programs: str) -> None:
        """Replace programs by shell scripts."""
        for name, text in programs.items():
            (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (self.programs / name).chmod(0o755)

    def result(self, kind: str = "rehearsal", number: int = 1) -> dict[str, Any]:
        """Return the result of a repository."""
        found: dict[str, Any] = json.loads(check.RESULTS.read_text())[kind][str(number)]
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path, monkeypatch)


def test_the_newest_backup_is_restored_checked_and_removed(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    check.check("rehearsal", host.settings, host.running)
    found = host.result()
    assert (found["ok"], found["reason"], found["label"], found["bytes"]) == (True, "", "20261122F_20261123D", 10)
    assert 0 <= found["age"] < 5
    assert abs(found["at"] - time.time()) < 5
    words = (host.answers / "restore").read_text().split()
    assert words == [
        "--config=/etc/pgbackrest/repository1.conf",
        "--stanza=main",
        "--set=20261122F_20261123D",
        "--archive-mode=off",
        "restore",
    ]
    assert list(host.scratch.iterdir()) == list(host.running.iterdir()) == []
    assert capsys.readouterr().out.startswith("<6>rehearsal of repository 1 passed (")


@pytest.mark.parametrize(
    ("programs", "reason"),
    [
        ({"pgbackrest": RESTORE_FAILS}, "pgBackRest's restore failed: [029]: unable to decrypt."),
        ({"pgbackrest": UNREADABLE.format("[HostConnectError] timeout")}, "The repository cannot be read: timeout."),
        ({"pgbackrest": UNREADABLE.format(NO_KEY)}, f"The repository cannot be read: {OTHER_PASS}."),
        ({"pgbackrest": "echo '[{\"backup\": []}]'"}, "The repository has no backup. `bin/fleet backup` makes one."),
        ({"pgbackrest": "exit 1"}, "pgBackRest's info failed: no output."),
        (
            {
                "postgres": "echo 'FATAL:  the database system is starting up'; echo 'FATAL:  no checkpoint'; exit 1",
                "psql": "exit 2",
            },
            "The restored Postgres ended: no checkpoint.",
        ),
        (
            {"psql": "case $* in *pg_is_in_recovery*) echo f;; *) echo 'ERROR: no table' >&2; exit 1; esac"},
            "The restored data have no heartbeat of the primary: ERROR: no table.",
        ),
        (
            {"psql": "case $* in *pg_is_in_recovery*) echo f; esac"},
            "The restored data have no heartbeat of the primary: the table is empty.",
        ),
        (
            {"psql": "case $* in *pg_is_in_recovery*) echo f;; *) date +%s -d -1hour; esac"},
            "s before the rehearsal, and at most 900 s are allowed.",
        ),
        (
            {"pg_amcheck": "echo 'heap table news.public.article, block 3:'; exit 2"},
            "pg_amcheck found damage in the restored data: heap table news.public.article, block 3:.",
        ),
    ],
)
def test_a_backup_that_cannot_be_used_is_reported_and_nothing_is_left(
    host: Host, programs: dict[str, str], reason: str
) -> None:
    host.install(**programs)
    check.check("rehearsal", host.settings, host.running)
    found = host.result()
    assert not found["ok"]
    assert reason in found["reason"]
    assert list(host.scratch.iterdir()) == []


def test_a_rehearsal_is_refused_if_the_disk_is_too_small(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "spare", lambda _: 20 * 1024**2)
    info = (host.answers / "info").read_text()
    (host.answers / "info").write_text(info.replace('"size": 10', f'"size": {10 * 1024**2}'))
    check.check("rehearsal", host.settings, host.running)
    assert host.result()["reason"] == (
        f"{host.scratch} needs 25 MB for a database of 10 MB, and 20 MB can be used: 5% of the disk stay free. Free "
        "space there, or set pgbackrest_rehearsal_folder to a folder on a larger disk."
    )
    assert not (host.answers / "restore").exists()


def test_a_replay_ends_before_the_disk_is_full(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.install(psql="echo t")
    sizes = iter([100, -1])
    monkeypatch.setattr(check, "spare", lambda _: next(sizes))
    check.check("rehearsal", host.settings, host.running)
    assert host.result()["reason"].startswith(
        f"{host.scratch} has too little space for the WAL after the newest backup"
    )


def test_each_repository_is_rehearsed_even_if_another_one_fails(host: Host) -> None:
    host.install(pgbackrest=f"case $* in *repository1*restore) exit 1; esac; {GOOD['pgbackrest']}")
    check.check("rehearsal", host.settings | {"repositories": 2}, host.running)
    assert (host.result(number=1)["ok"], host.result(number=2)["ok"]) == (False, True)
    results = json.loads(check.RESULTS.read_text())
    assert len(backup_failed_rehearsals(results)) == 1
    first, second = backup_rehearsals(results, 2)
    assert first.startswith("The rehearsal of repository 1 failed at ")
    assert first.endswith(": pgBackRest's restore failed: no output.")
    assert second.startswith("Repository 2 was rehearsed at ")


def test_a_killed_rehearsal_has_failed_and_leaves_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    (host.scratch / "data").mkdir()
    (host.running / "running").write_text(f"[2, {time.time() - 60}]")
    monkeypatch.setenv("SERVICE_RESULT", "oom-kill")
    check.ended("rehearsal", host.settings, host.running)
    assert list(host.scratch.iterdir()) == []
    assert host.result(number=2)["reason"] == "It was interrupted (oom-kill)."
    (host.running / "running").write_text(f"[1, {time.time()}]")
    monkeypatch.setenv("SERVICE_RESULT", "success")
    check.ended("rehearsal", host.settings, host.running)
    assert host.result()["reason"] == "It was stopped."
    assert backup_rehearsals({}, 1) == ["Repository 1 was never rehearsed. `bin/fleet rehearse` does it now."]


def test_a_stopped_rehearsal_stops_its_server_and_removes_its_data(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.install(postgres=f"echo $$ >{host.answers}/pid; {SERVER}", psql="sleep 0.3; kill -TERM $PPID; sleep 5")
    (host.answers / "backups.json").write_text(json.dumps(host.settings))
    monkeypatch.setattr(check, "SETTINGS", host.answers / "backups.json")
    monkeypatch.setattr(sys, "argv", ["backup-check", "rehearsal"])
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(host.running))
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit):
            check.main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert list(host.scratch.iterdir()) == []
    assert not Path(f"/proc/{(host.answers / 'pid').read_text().strip()}").exists()
    assert (host.running / "running").exists(), "so that the unit's end records the failure"


def test_the_end_of_a_good_run_records_nothing(host: Host) -> None:
    check.ended("rehearsal", host.settings, host.running)
    assert not check.RESULTS.exists()


@pytest.mark.parametrize(
    ("answer", "damaged", "reason"),
    [
        (VERIFY.format("ok", "valid", 5), 0, ""),
        (
            VERIFY.format("error", "invalid", 3),
            2,
            "2 files are damaged: backup: 20261122F, status: invalid, total files checked: 5, total valid files: 3.",
        ),
        (
            "stanza: main\nstatus: error\n  backup.info is unusable\n",
            0,
            "0 files are damaged: stanza: main status: error",
        ),
    ],
)
def test_verify_counts_damaged_files(host: Host, answer: str, damaged: int, reason: str) -> None:
    (host.answers / "verify").write_text(answer)
    check.check("rehearsal", host.settings, host.running)
    check.check("verify", host.settings, host.running)
    found = host.result("verify")
    assert (found["ok"], found["damaged"]) == (not reason, damaged)
    assert found["reason"].startswith(reason)
    assert host.result()["ok"], "the result of the rehearsal stays"
    shown = backup_rehearsals(json.loads(check.RESULTS.read_text()), 1)
    assert len(shown) == (2 if reason else 1)
