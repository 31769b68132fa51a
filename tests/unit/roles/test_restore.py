"""A restore refuses what cannot succeed, with a sentence, before anything is changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from plugins.filter import restore
from plugins.moments import parsed
from tests.unit.playbooks import of_the_project
from tests.unit.roles.modules import ROLES, load, read_list, read_yaml
from tests.unit.roles.restore_samples import ALL, DIFF, FULL, GB, HERE, OPTIONS, info

reached = load(ROLES / "restore/library/restore_reached.py")
NOW = parsed("2026-11-29 12:00:00+00").timestamp()


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-29 03:00:00+00", "2026-11-29 03:00:00.000000+00"),
        ("2026-11-29T03:00Z", "2026-11-29 03:00:00.000000+00"),
        ("2026-11-29 03:00:00.25 UTC", "2026-11-29 03:00:00.250000+00"),
        ("2026-11-29 00:30:00+01:00", "2026-11-28 23:30:00.000000+00"),
        ("2026-11-29 03:00:00-0330", "2026-11-29 06:30:00.000000+00"),
    ],
)
def test_a_time_is_read_in_its_zone(text: str, utc: str) -> None:
    assert restore.target(text) == utc


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({}, ""),
        ({"to": ""}, "restore_to is missing"),
        ({"to": "2026-11-29 03:00:00"}, "has no time zone, so it may mean another moment than yours. Write 2026-11-29"),
        ({"to": "2026-11-29"}, "is not a point in time"),
        ({"to": "29.11.2026 03:00+00"}, "is not a point in time"),
        ({"to": "yesterday"}, "is not a point in time"),
        ({"to": "2026-11-31 03:00:00+00"}, "does not exist (day is out of range for month)"),
        ({"to": "2026-11-29 03:00:00+25"}, "+25' does not exist in UTC. Write it like"),
        ({"to": "0001-01-01 00:00:00+01"}, "+01' does not exist in UTC. Write it like"),
        ({"to": "2026-11-29 12:00:00+00"}, "is in the future"),
        ({"to": "2026-11-29 12:30:00+01"}, ""),
        ({"repositories": 0}, "pgbackrest_repositories is empty"),
        ({"repositories": 0, "remove": True}, ""),
        ({"host": "db3"}, "restore_host = db3 must be one of db1, db2."),
        ({"to": "", "remove": True}, ""),
        ({"to": "latest"}, "is not a point in time"),
        ({"to": "latest", "from": True}, ""),
        ({"to": "latest", "from": True, "repositories": 0}, "this fleet has no backups"),
        ({"remove": True, "in_place": True}, "exclude each other"),
        ({"in_place": True}, "loses everything that was written after 2026-11-29 03:00:00+00 on the fleet shop"),
        ({"in_place": True, "confirm": "other"}, "restore_confirm=shop"),
        ({"in_place": True, "confirm": "shop"}, ""),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], sentence: str) -> None:
    found = restore.request_refusal(OPTIONS | options, NOW)
    assert sentence in found
    assert bool(found) == bool(sentence)


BINARY = 'ERROR: [029]: FormatError: key/value found outside of section at line 1: \x01\x02"'


@pytest.mark.parametrize(
    ("answer", "options", "sentence"),
    [
        (ALL, {}, ""),
        (ALL, {"to": "2026-11-22 01:00:00+00"}, "the end of the oldest backup. Choose 2026-11-22 01:00:01+00 or a"),
        # pgBackRest compares whole seconds.
        (ALL, {"to": "2026-11-22 01:00:00.9+00"}, "the end of the oldest backup. Choose 2026-11-22 01:00:01+00 or a"),
        (ALL, {"to": "2026-11-22 01:00:01+00"}, ""),
        (info([]), {}, "The repository has no backup"),
        (info([], code=2), {}, "The repository has no backup"),
        (info([], code=1), {}, "The repository has no stanza main"),
        (info([FULL], name="other"), {}, "The repository has no stanza main"),
        (info([], stdout="[]"), {}, "The repository has no stanza main"),
        (
            {"rc": 49, "stdout": "", "stderr": "ERROR: [049]: unable to connect to 'mon1:8432': Connection refused"},
            {},
            "The repository cannot be read: [049]: unable to connect to 'mon1:8432': Connection refused. Start",
        ),
        (
            {"rc": 127, "stdout": "", "stderr": "pgBackRest is not installed on this host"},
            {},
            "The repository cannot be read: pgBackRest is not installed on this host. Start its host",
        ),
        ({"rc": 29, "stdout": "", "stderr": BINARY}, {}, "vault_pgbackrest_cipher_pass is not the pass"),
        (info([], code=99, stderr=BINARY), {}, "vault_pgbackrest_cipher_pass is not the pass"),
        (ALL, {"free": 3 * GB}, "beside on db2 needs 3277 MB, of which restore_wal_mb = 1024 is for WAL, and 3072 MB"),
        (ALL, {"left": True}, "db2 still has a side restore in /var/lib/postgresql/17/beside. Remove it first"),
        (ALL, {"port_used": True}, "restore_port = 5433 is in use on db2"),
        (ALL, {"left": True, "port_used": True, "in_place": True, "free": GB}, ""),
        (ALL, {"in_place": True, "free": GB - 1}, "needs 1024 MB"),
    ],
)
def test_a_restore_that_cannot_succeed_is_refused(
    answer: dict[str, Any], options: dict[str, Any], sentence: str
) -> None:
    found = restore.plan(answer, HERE | options)["refusal"]
    assert sentence in found
    assert bool(found) == bool(sentence)


def test_the_latest_data_begin_with_the_newest_backup_and_have_no_target() -> None:
    plan = restore.plan(ALL, HERE | {"to": "latest", "in_place": True})
    assert (plan["refusal"], plan["target"], plan["label"]) == ("", "", restore.backups(ALL, "main")[-1]["label"])
    assert "replay_pause" not in reached.query("")
    assert reached.proven(["paused", "2026-11-29 03:00:02+00", "t", "3"], STOPPED, "") == ""


def test_the_newest_backup_before_the_time_is_the_base() -> None:
    plan = restore.plan(ALL, HERE)
    assert (plan["label"], plan["size"]) == (DIFF["label"], 2 * GB)


CLUSTER = {
    "members": [
        {"name": "db1", "role": "leader", "state": "running"},
        {"name": "db2", "role": "sync_standby", "state": "streaming"},
    ]
}


@pytest.mark.parametrize(
    ("wanted", "answering", "clusters", "in_place", "host"),
    [
        ("", ["db1", "db2"], [CLUSTER], False, "db2"),
        ("", ["db1"], [CLUSTER], False, "db1"),
        ("", ["db1", "db2"], [CLUSTER], True, "db1"),
        ("", ["db1", "db2"], [], False, "db1"),
        ("", [], [], False, ""),
        ("db1", ["db1", "db2"], [CLUSTER], False, "db1"),
        ("db1", ["db2"], [CLUSTER], False, ""),
    ],
)
def test_a_standby_shows_the_old_data(
    wanted: str, answering: list[str], clusters: list[Any], in_place: bool, host: str
) -> None:
    assert restore.choose_host(wanted, answering, clusters, in_place) == host


STOPPED = "LOG:  recovery stopping before commit of transaction 740, time 2026-11-29 03:00:01.25+00\n"
TARGET = "2026-11-29 03:00:00.000000+00"


@pytest.mark.parametrize(
    ("last", "before", "log", "sentence"),
    [
        ("2026-11-29 02:59:58+00", "t", STOPPED, ""),
        ("", "t", "", ""),
        ("2026-11-29 03:00:02+00", "f", STOPPED, "The data are newer than"),
        ("2026-11-29 02:00:00+00", "t", STOPPED.replace(" 03:", " 02:"), "The replay stopped before"),
    ],
)
def test_the_data_are_proven_to_be_those_of_the_target(last: str, before: str, log: str, sentence: str) -> None:
    found = reached.proven(["paused", last, before, "3"], log, TARGET)
    assert sentence in found
    assert bool(found) == bool(sentence)


EARLY = "FATAL:  the database system is starting up\n"


@pytest.mark.parametrize(
    ("log", "sentence"),
    [
        (
            f"{EARLY}FATAL:  recovery ended before configured recovery target was reached\n",
            "The archive ends before 2026-11-29 03:00:00.000000+00",
        ),
        (f"{EARLY}FATAL:  could not map anonymous shared memory\nLOG:  x", "could not map anonymous shared memory."),
        ("", "its log is empty."),
    ],
)
def test_the_log_says_why_a_restored_server_ended(log: str, sentence: str) -> None:
    assert sentence in reached.why(log, TARGET)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["-e", "restore_to=2026-11-29 03:00:00"], "restore_to = '2026-11-29 03:00:00' has no time zone"),
        (["-e", "restore_to=2026-11-29 03:00:00+00 restore_host=db9"], "restore_host = db9 must be one of db1, db2."),
        (["-e", "restore_to=2100-01-01 03:00:00+00"], "is in the future"),
        (
            ["-e", "restore_to=2026-11-29 03:00:00+00", "-e", '{"pgbackrest_repositories": []}'],
            "this fleet has no backups",
        ),
    ],
)
def test_the_playbook_refuses_before_it_connects(options: list[str], message: str, tmp_path: Any) -> None:
    hosts: dict[str, Any] = {"db1": {}, "db2": {}}
    variables = {"fleet_name": "shop", "pgbackrest_repositories": [{"type": "host"}]}
    inventory = {"all": {"vars": variables, "children": {name: {"hosts": hosts} for name in ("postgres", "etcd")}}}
    (tmp_path / "hosts.json").write_text(json.dumps(inventory))
    result = of_the_project().run("-i", str(tmp_path / "hosts.json"), "playbooks/restore.yml", *options)
    assert result.returncode != 0
    assert message in " ".join(result.stdout.split())


IN_PLACE = {"restore_in_place": True, "restore_confirm": "shop"}


@pytest.mark.parametrize(
    ("alive", "options", "message"),
    [
        ([], {}, "None of db1, db2 answers over SSH, so nothing was changed."),
        ([], {"restore_host": "db1"}, "db1 does not answer over SSH, so nothing was changed."),
        (["db2"], {"restore_host": "db1"}, "db1 does not answer over SSH, so nothing was changed."),
        (["db1"], IN_PLACE, "db2 does not answer over SSH, and it needs all database hosts."),
        (["db2"], {}, "TASK [restore : Query the repository]"),  # it goes on there
    ],
)
def test_a_host_that_is_down_is_named(alive: list[str], options: dict[str, Any], message: str, tmp_path: Path) -> None:
    down = {"ansible_host": "127.0.0.1", "ansible_port": 9}
    here = {"ansible_connection": "local", "ansible_become": False}
    hosts = {name: here if name in alive else down for name in ("db1", "db2")}
    variables: dict[str, Any] = {"fleet_name": "shop", "fleet_address": "127.0.0.9", "postgres_database": "shop"}
    variables |= {"pgbackrest_repositories": [{"type": "host"}], "etcd_members": []}
    groups = {"postgres": {"hosts": hosts}, **{name: {"hosts": {}} for name in ("etcd", "app")}}
    (tmp_path / "hosts.json").write_text(json.dumps({"all": {"vars": variables, "children": groups}}))
    given = json.dumps({"restore_to": OPTIONS["to"], **options})
    words = ["-i", str(tmp_path / "hosts.json"), "playbooks/restore.yml", "--check", "-e", given]
    result = of_the_project().run(*words)
    assert result.returncode != 0
    assert message in " ".join(result.stdout.split())


def test_the_mark_is_committed_in_the_segment_that_is_archived() -> None:
    """psql makes one transaction of one `--command`. Its commit would be in the segment after the switch."""
    words = yaml.safe_load((ROLES / "restore/vars/main.yml").read_text())["__restore_mark"]
    assert [word.partition("=")[0] for word in words] == ["--command"] * 2
    assert ["pg_switch_wal" in word for word in words] == [False, True]
    assert not any(";" in word for word in words)


def test_a_side_restore_holds_no_locks() -> None:
    """Paused, it held the lock of a DROP TABLE that had not ended, so copying that table back waited for ever."""
    tasks = next(task["block"] for task in read_list("roles/restore/tasks/main.yml") if "block" in task)
    files = [task.get("ansible.builtin.import_tasks") for task in tasks]
    assert files.index("promote_now.yml") == files.index("reached.yml") + 1
    settings = read_yaml("roles/restore/vars/main.yml")["__restore_beside_settings"]
    assert (settings["archive_mode"], settings["default_transaction_read_only"]) == ("off", "on")


def test_the_report_is_the_end_of_the_output() -> None:
    plays = read_list("playbooks/restore.yml")
    assert plays[-1]["tasks"][0]["ansible.builtin.include_role"] == {"name": "restore", "tasks_from": "report"}
