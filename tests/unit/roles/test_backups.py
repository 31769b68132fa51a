"""What pgBackRest prints becomes metrics, a table and JSON."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plugins.filter.backups import (
    NO_STANZA,
    OTHER_PASS,
    backup_document,
    backup_folders,
    backup_guard,
    backup_missing_stanza,
    backup_rows,
    backup_table,
    backup_unreadable,
)
from plugins.filter.restore import repository_refusal
from tests.unit.roles.modules import ROLES, load
from tests.unit.tools.fleet_views import BACKED_UP
from tools.fleet import host_facts
from tools.fleet.context import Fleet, FleetError
from tools.fleet.verbs import backups

metrics = load(ROLES / "pgbackrest/files/backup_metrics.py")
FIRST, SECOND = 1_795_000_000, 1_795_086_400


def backup(kind: str, stop: int, repository: int = 1, error: bool = False) -> dict[str, Any]:
    """Return a backup as pgBackRest describes it."""
    return {
        "database": {"id": 1, "repo-key": repository},
        "error": error,
        "info": {"size": 600 * 1024**2, "delta": 1, "repository": {"delta": 200 * 1024**2}},
        "label": f"{stop}{kind[0].upper()}",
        "timestamp": {"start": stop - 12, "stop": stop},
        "type": kind,
    }


def info(*found: dict[str, Any], code: int = 0, message: str = "ok") -> str:
    """Return the output of `pgbackrest info --output=json`."""
    repositories = [{"key": 1, "cipher": "aes-256-cbc", "status": {"code": code, "message": message}}]
    return json.dumps([{"name": "main", "repo": repositories, "backup": list(found), "status": {"code": code}}])


GOOD = info(backup("full", FIRST), backup("diff", SECOND), backup("full", SECOND + 5, error=True))


@pytest.mark.parametrize(
    ("text", "repositories", "missing"),
    [
        (GOOD, 1, False),
        (info(code=2, message="no valid backups"), 1, False),
        (info(code=1, message="missing stanza path"), 1, True),
        (info(code=3, message="missing stanza data"), 1, True),
        (GOOD, 2, True),
        ("[]", 1, True),
    ],
)
def test_a_stanza_is_created_only_where_it_is_missing(text: str, repositories: int, missing: bool) -> None:
    assert backup_missing_stanza(text, repositories) is missing


def test_the_table_shows_the_newest_backup_first_and_what_can_be_reached() -> None:
    document = backup_document(GOOD, ["", SECOND + 60.5], PROVEN)
    *lines, rehearsal, verify = backup_table(document)
    assert lines[0].split() == ["ENDED", "(UTC)", "TYPE", "REPOSITORY", "DATABASE", "STORED", "TOOK", "LABEL"]
    assert lines[1].startswith("2026-11-19 11:06:40  diff  1           600 MiB   200 MiB  12 s  1795086400D")
    assert lines[2].split()[2] == "full"
    assert lines[-1] == (
        "The database can go back to any time from 2026-11-18 11:06:41+00 until 2026-11-19 11:07:40+00."
    )
    assert rehearsal == (
        "Repository 1 was rehearsed at 2026-11-19 11:06:40+00: 600 B restored and checked in 22 s, 1 s old."
    )
    assert verify == "Verify of repository 1 failed at 2026-11-18 11:06:40+00: x"
    assert len(document["backups"]) == 2, "a backup with an error cannot be restored"


def test_the_table_reports_what_is_missing() -> None:
    assert backup_table(backup_document("[]")) == ["There is no backup yet. `bin/fleet backup` makes one."]
    away = backup_document(info(code=1, message="missing stanza path"))
    assert backup_table(away) == [f"Repository 1 {NO_STANZA}."]
    broken = info(backup("full", FIRST), code=99, message="other")
    *_, reach, state, rehearsal = backup_table(backup_document(broken))
    assert reach.endswith("until an unknown time (the primary has not archived WAL yet).")
    assert state == "Repository 1: other."
    assert rehearsal == "Repository 1 was never rehearsed. `bin/fleet rehearse` does it now."
    assert backup_rows("") == []


REFUSED = """[ProtocolError] HTTP request failed with 404 (NOT FOUND):
*** Request Headers ***:
authorization: <redacted>
*** Response Content ***:
<Error><Code>NoSuchBucket</Code><Message>The specified bucket does not exist</Message></Error>"""
NO_ROLE = """[ProtocolError] role to retrieve temporary credentials not found
HINT: is a valid IAM role associated with this instance?"""
WRONG_CA = "[CryptoError] unable to verify certificate presented by '10.0.0.9:443': [18] self-signed certificate"


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (REFUSED, "NoSuchBucket: The specified bucket does not exist"),
        (
            NO_ROLE,
            "role to retrieve temporary credentials not found - is a valid IAM role associated with this instance?",
        ),
        (WRONG_CA, "unable to verify certificate presented by '10.0.0.9:443': [18] self-signed certificate"),
        ("[HostConnectError] timeout", "timeout"),
    ],
)
def test_a_bucket_that_cannot_be_read_is_not_an_empty_one(message: str, reason: str) -> None:
    text = info(code=99, message=message)
    sentence = f"Repository 1 cannot be read: {reason}."
    assert backup_table(backup_document(text)) == backup_unreadable(text) == [sentence]
    refusal = repository_refusal({"rc": 0, "stdout": text, "stderr": ""}, "main")
    assert refusal.startswith(f"The repository cannot be read: {reason}. Start its host")


def test_a_wrong_passphrase_is_named() -> None:
    text = info(code=99, message="[FormatError] key/value found outside of section at line 1: ?3?A")
    assert backup_unreadable(text) == [f"Repository 1 cannot be read: {OTHER_PASS}."]


PROVEN: dict[str, Any] = {
    "rehearsal": {"1": {"at": SECOND, "ok": True, "reason": "", "seconds": 21.5, "age": 0.8, "bytes": 600}},
    "verify": {"1": {"at": FIRST, "ok": False, "reason": "x", "seconds": 3, "files": 9, "damaged": 2}},
}


def written(found: str, tmp_path: Path, repositories: int = 1, **results: Any) -> dict[str, float]:
    """Return the metrics of a host with a repository in a folder."""
    settings = {"repositories": repositories, "max_age_seconds": 108000, "folders": {"1": str(tmp_path)}}
    settings |= {"max_rehearsal_age_seconds": 777600, "max_verify_age_seconds": 3024000}
    text = metrics.render(metrics.samples(settings, json.loads(found), results))
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name.removeprefix("flaskfleet_backup_"): float(value) for name, value in lines}


def test_metrics_show_the_last_and_the_oldest_backup(tmp_path: Path) -> None:
    found = written(GOOD, tmp_path)
    assert 0 <= found.pop('repository_free_ratio{repository="1"}') <= 1
    assert found == {
        "max_age_seconds": 108000,
        'repository_ok{repository="1"}': 1,
        'last_seconds{repository="1"}': SECOND,
        'oldest_seconds{repository="1"}': FIRST,
        'repository_bytes{repository="1"}': 400 * 1024**2,
        'rehearsal_last_seconds{repository="1"}': 0,
        'verify_last_seconds{repository="1"}': 0,
    }


def test_metrics_show_what_proves_the_backups(tmp_path: Path) -> None:
    found = written(GOOD, tmp_path, **PROVEN)
    assert {name: value for name, value in found.items() if name.startswith(("rehearsal", "verify"))} == {
        'rehearsal_last_seconds{repository="1"}': SECOND,
        'rehearsal_due_seconds{repository="1"}': SECOND + 777600,
        'rehearsal_ok{repository="1"}': 1,
        'rehearsal_duration_seconds{repository="1"}': 21.5,
        'rehearsal_data_age_seconds{repository="1"}': 0.8,
        'rehearsal_bytes{repository="1"}': 600,
        'verify_last_seconds{repository="1"}': FIRST,
        'verify_ok{repository="1"}': 0,
        'verify_duration_seconds{repository="1"}': 3,
        'verify_damaged_files{repository="1"}': 2,
        'verify_due_seconds{repository="1"}': FIRST + 3024000,
    }


def test_the_probe_reads_what_the_program_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"repositories": 1, "max_age_seconds": 108000, "folders": {}, "max_rehearsal_age_seconds": 777600}
    settings["max_verify_age_seconds"] = 3024000
    monkeypatch.setattr(host_facts, "BACKUPS", tmp_path / "backups.prom")
    host_facts.BACKUPS.write_text(metrics.render(metrics.samples(settings, json.loads(GOOD), PROVEN)))
    found = host_facts.backups()
    assert found.keys() == BACKED_UP.keys()
    assert (found["last"], found["limit"]) == ({"1": SECOND}, 108000)
    assert (found["rehearsed"], found["restorable"]) == ({"1": SECOND}, {"1": 1})
    assert (found["verified"], found["intact"]) == ({"1": FIRST}, {"1": 0})
    assert (found["rehearsal_due"], found["verify_due"]) == ({"1": SECOND + 777600}, {"1": FIRST + 3024000})


@pytest.mark.parametrize(("kind", "age"), [("rehearsal", 777600), ("verify", 3024000)])
def test_a_repository_that_was_never_checked_is_overdue_some_time_after_the_timer_was_started(
    kind: str, age: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "TIMERS", tmp_path)
    due = f'{kind}_due_seconds{{repository="1"}}'
    assert due not in written(GOOD, tmp_path)
    stamp = tmp_path / f"stamp-backup-check@{kind}.timer"
    stamp.touch()
    os.utime(stamp, (FIRST, FIRST))
    assert written(GOOD, tmp_path)[due] == FIRST + age


@pytest.mark.parametrize(("text", "ok"), [("[]", 0), (info(code=2), 1), (info(code=99), 0)])
def test_a_repository_without_a_backup_has_an_old_one_in_the_metrics(text: str, ok: int, tmp_path: Path) -> None:
    found = written(text, tmp_path, repositories=2)
    assert (found['last_seconds{repository="1"}'], found['repository_ok{repository="1"}']) == (0, ok)
    assert found['repository_ok{repository="2"}'] == 0
    assert 'repository_free_ratio{repository="2"}' not in found


@pytest.mark.parametrize(
    ("repository", "databases", "guard"),
    [
        ({"type": "host"}, ["mon1"], ""),
        ({"type": "host"}, ["db1", "db2"], "timeout 0.5 bash -c '</dev/tcp/mon1/8432' 2>/dev/null && "),
        ({"type": "s3", "region": "eu"}, ["mon1"], "timeout 2 bash -c '</dev/tcp/s3.eu.amazonaws.com/443'"),
        (
            {"type": "s3", "region": "eu", "endpoint": "10.0.0.9", "port": 9000},
            ["db1"],
            "timeout 2 bash -c '</dev/tcp/10.0.0.9/9000'",
        ),
    ],
)
def test_a_repository_that_is_away_does_not_delay_a_promotion(
    repository: dict[str, Any], databases: list[str], guard: str
) -> None:
    found = backup_guard([repository], ["mon1"], databases, 8432)
    assert found.startswith(guard)
    assert bool(found) == bool(guard)


def test_only_folders_of_the_host_are_measured() -> None:
    repositories = [{"type": "s3", "path": "/x"}, {"type": "host"}, {"type": "host", "path": "/srv/backups"}]
    assert backup_folders(repositories, "/default") == {"2": "/default", "3": "/srv/backups"}


def test_the_verb_reads_what_the_playbook_reports(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    document = backup_document(GOOD)
    results: dict[str, dict[str, Any]] = {
        "pgbackrest : Query it": {"db2": {"unreachable": True, "msg": "timed out"}},
        "pgbackrest : Note what they can do": {"mon1": {"ansible_facts": {"__pgbackrest_document": document}}},
        "pgbackrest : Show the backups": {"mon1": {"msg": backup_table(document)}},
    }
    tasks = [{"task": {"name": name}, "hosts": hosts} for name, hosts in results.items()]

    def answer(chosen: list[dict[str, Any]]) -> None:
        done = subprocess.CompletedProcess([], 0, json.dumps({"plays": [{"tasks": chosen}]}), "")
        monkeypatch.setattr(subprocess, "run", lambda *_, **__: done)

    shop = Fleet("shop", "shop", {})
    answer(tasks)
    backups.backups(shop, as_json=False)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == backup_table(document)
    assert printed.err == "db2 is left out: timed out\n"
    backups.backups(shop, as_json=True)
    assert json.loads(capsys.readouterr().out) == document
    answer([{"task": {"name": "Require a repository"}, "hosts": {"mon1": {"failed": True, "msg": "There are none."}}}])
    with pytest.raises(FleetError, match=r"The backups cannot be listed: There are none\."):
        backups.backups(shop, as_json=False)
