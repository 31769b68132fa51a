"""A limit of Postgres that was raised after the backup: the replay must not stop there, and must never hide it."""

from __future__ import annotations

import pytest

from plugins.filter.restore_limits import limits
from tests.unit.roles.modules import ROLES, load, read_yaml
from tests.unit.roles.restore_samples import OPTIONS, evaluate

reached = load(ROLES / "restore/library/restore_reached.py")

TARGET = "2026-11-29 03:00:00.000000+00"
CONTROL = """\
pg_control version number:            1700
max_connections setting:              {}
max_worker_processes setting:         8
max_wal_senders setting:              10
max_prepared_xacts setting:           0
max_locks_per_xact setting:           64
track_commit_timestamp setting:       off
"""
LOWER = """\
2026-11-29 05:00:00.1 UTC [7] WARNING:  hot standby is not possible because of insufficient parameter settings
2026-11-29 05:00:00.1 UTC [7] DETAIL:  max_connections = 200 is a lower setting than on the primary server, where its \
value was 300.
2026-11-29 05:00:00.1 UTC [7] LOG:  recovery has paused
"""
PAUSED = "LOG:  pausing at the end of recovery\n"


def test_a_restored_server_gets_the_higher_of_both_limits() -> None:
    found = limits([CONTROL.format(200), CONTROL.format(300), ""], {"max_wal_senders": 12})
    assert (found["max_connections"], found["max_wal_senders"]) == (300, 12)
    assert (found["max_prepared_transactions"], found["max_locks_per_transaction"]) == (0, 64)
    assert limits(["", ""], {"max_connections": 5}) == {"max_connections": 5}


def test_a_replay_that_stopped_at_a_lower_limit_is_not_the_target() -> None:
    """It pauses there as at its target, so a side restore once showed older data without a word."""
    paused = ["paused", "2026-11-29 01:00:00+00", "t", "3"]
    wrong = reached.proven(paused, LOWER, TARGET)
    assert wrong.startswith(f"The replay did not reach {TARGET}: max_connections = 200 of the restored server is lower")
    assert "300" in wrong
    assert reached.proven(paused, PAUSED, TARGET) == ""
    fatal = f"{LOWER}FATAL:  recovery aborted because of insufficient parameter settings\n"
    assert "max_connections = 200" in reached.why(fatal, TARGET)


@pytest.mark.parametrize(
    ("log", "target", "complete"), [("", TARGET, False), (LOWER, TARGET, True), (PAUSED, TARGET, True), ("", "", True)]
)
def test_the_log_of_a_busy_host_is_waited_for(log: str, target: str, complete: bool) -> None:
    assert reached.complete(log, target) is complete


@pytest.mark.parametrize(("moment", "expected"), [(OPTIONS["to"], None), ("latest", "off")])
def test_without_a_target_the_replay_pauses_at_no_limit(moment: str, expected: str | None) -> None:
    assert evaluate("__restore_settings", True, moment).get("hot_standby") == expected


def test_a_rehearsal_pauses_at_no_limit() -> None:
    settings = read_yaml("roles/pgbackrest/vars/main.yml")["__pgbackrest_rehearsal_settings"]
    assert settings["hot_standby"] == "off"
