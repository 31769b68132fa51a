"""Schedules of cron, as calendar expressions of systemd."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.tools.projects import APP, found
from tools.project.timers import on_calendar
from tools.project.tree import ProjectError

SCHEDULES = {
    "@daily": "daily",
    "@midnight": "daily",
    "*/15 * * * *": "*-*-* *:0/15:00",
    "0 3 * * *": "*-*-* 3:0:00",
    "30 4 1 */2 *": "*-1/2-1 4:30:00",
    "0 9-17 * jan,Jul mon-fri": "Mon..Fri *-1,7-* 9..17:0:00",
    "5 0 * * 0,6": "Sun,Sat *-*-* 0:5:00",
    "5 0 * * 7": "Sun *-*-* 0:5:00",
}


@pytest.mark.parametrize(("schedule", "calendar"), SCHEDULES.items())
def test_a_schedule_of_cron_becomes_one_of_systemd(schedule: str, calendar: str) -> None:
    assert on_calendar(schedule) == calendar
    if shutil.which("systemd-analyze"):
        subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)


@pytest.mark.parametrize("schedule", ["", "* * * *", "every day", "@never", "* * * * * *"])
def test_other_schedules_are_none(schedule: str) -> None:
    assert on_calendar(schedule) == ""


def test_the_jobs_of_dokku_and_scalingo_are_found(tmp_path: Path) -> None:
    job = {"command": "flask next", "schedule": "0 3 * * *"}
    expected = {"cron-1": {"command": "flask next", "schedule": "*-*-* 3:0:00"}}
    dokku = {"app.py": APP, "app.json": json.dumps({"cron": [job]})}
    assert found(tmp_path / "a", dokku).value("app_timers") == expected
    scalingo = {"app.py": APP, "cron.json": json.dumps({"jobs": [{"command": "0 3 * * * flask next"}]})}
    assert found(tmp_path / "b", scalingo).value("app_timers") == expected
    with pytest.raises(ProjectError, match=r"app.json: the schedule 'soon' of 'x' is not one of cron"):
        found(tmp_path / "c", {"app.py": APP, "app.json": '{"cron": [{"command": "x", "schedule": "soon"}]}'})
