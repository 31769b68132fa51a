"""What the benchmark of backups computes from the output of a playbook and from the requests of a load."""

from __future__ import annotations

import math
from typing import Any

import pytest
import yaml

from tools.bench import backups
from tools.fleet.context import ROOT, FleetError

OUTPUT = """\
TASKS RECAP ********************************************************************
Monday 30 November 2026  06:04:08 +0000 (0:00:00.350)       0:00:27.920 *******
===============================================================================
Choose one -------------------------------------------------------------- 1.50s
restore : Keep the old data --------------------------------------------- 0.50s
restore : Restore the files -------------------------------------------- 20.69s
restore : Write the unit ------------------------------------------------ 1.00s
restore : Write a checkpoint, because pg_rewind on the other hosts reads the timeline from it --- 0.88s
restore : Write the unit ------------------------------------------------ 0.12s
"""


def test_the_phases_of_a_restore_are_sums_of_its_tasks() -> None:
    found = {name: round(seconds, 2) for name, seconds in backups.phases(OUTPUT).items() if seconds}
    assert found == {"checks": 1.5, "files": 21.19, "replay": 1.0, "promote": 1.0}


def test_each_phase_begins_with_a_task_that_exists() -> None:
    texts = [path.read_text() for path in (ROOT / "roles/restore/tasks").glob("*.yml")]
    texts += [(ROOT / "playbooks/shared/restore_in_place.yml").read_text()]
    names = {name for text in texts for name in task_names(yaml.safe_load(text))}
    assert set(backups.PHASES.values()) - {""} <= names


def task_names(value: Any) -> set[str]:
    """Return the names of tasks that run. An import shows only those in it."""
    if isinstance(value, list):
        return {name for each in value for name in task_names(each)}
    if not isinstance(value, dict):
        return set()
    own = set() if "ansible.builtin.import_tasks" in value else {value.get("name", "")}
    return own | task_names([value.get(key) for key in ("tasks", "block", "rescue", "always")])


def test_a_failed_read_counts_for_the_percentile() -> None:
    reads: list[dict[str, Any]] = [
        {"kind": "read", "due": float(n), "end": n + 0.01 * n, "status": 200} for n in range(1, 101)
    ]
    assert backups.p99(reads, 1, 101) == pytest.approx(990)
    assert backups.p99(reads, 1, 11) == pytest.approx(100)
    broken: list[dict[str, Any]] = [read | {"status": 503 if read["due"] < 3 else 200} for read in reads]
    assert backups.p99(broken, 1, 101) == math.inf
    with pytest.raises(FleetError, match="use a larger database"):
        backups.p99(reads, 200, 201)


def test_a_gap_is_between_two_requests_that_succeeded() -> None:
    ends = [(1.0, 201), (2.0, 201), (4.0, 503), (9.0, 201)]
    assert backups.longest_gap([{"kind": "write", "end": end, "status": status} for end, status in ends], "write") == 7


def test_a_commit_can_be_lost_until_its_segment_is_archived() -> None:
    #           time, WAL, archived
    samples = [(0.0, 110, 100), (2.0, 120, 100), (30.0, 130, 100), (32.0, 210, 200), (40.0, 220, 200)]
    assert backups.losses(samples) == (32.0, 30.0)
    # What was never archived may have been lost at the end.
    assert backups.losses(samples[:3]) == (30.0, 30.0)
