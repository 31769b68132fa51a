"""The scheduler starts with any content of its file."""

from __future__ import annotations

import dbm
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import PersistentScheduler

from tests.unit.roles.modules import render

Damage = Callable[[Path], None]


def cut(folder: Path) -> None:
    """Tear every file in the middle."""
    for file in folder.iterdir():
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def overwrite(folder: Path) -> None:
    """Replace the content by zeros."""
    for file in folder.iterdir():
        file.write_bytes(bytes(file.stat().st_size))


def empty_entry(folder: Path) -> None:
    """Tear a value."""
    with dbm.open(str(folder / "schedule"), "w") as schedule:
        schedule[b"entries"] = b""


def start_pre(folder: Path) -> None:
    """Run the unit's own ExecStartPre."""
    unit = render(
        "celery",
        "celery-beat.service.j2",
        item="celery-beat",
        app_name="shop",
        app_user="shop-app",
        celery_app="shop",
        celery_log_level="INFO",
        app_writable_paths=[],
        __celery_home="/opt/shop",
        __celery_etc="/etc/shop",
        __celery_files=[],
    )
    (script,) = re.findall(r"^ExecStartPre=/bin/sh -c '(.*?)'$", unit, re.MULTILINE | re.DOTALL)
    script = script.replace("\\\n", "").replace("/opt/shop/current/venv/bin/python", sys.executable)
    subprocess.run(["sh", "-c", script.replace("/var/lib/celery-beat", str(folder))], check=True, capture_output=True)


def start(folder: Path) -> PersistentScheduler:
    """Start a scheduler with a file, and return it."""
    app = Celery(broker="memory://")
    app.conf.beat_schedule = {"a": {"task": "a", "schedule": timedelta(seconds=5)}}
    scheduler = PersistentScheduler(app, schedule_filename=str(folder / "schedule"))
    scheduler.sync()
    return scheduler


@pytest.mark.parametrize("damage", [cut, overwrite, empty_entry], ids=lambda damage: damage.__name__)
def test_the_scheduler_starts_with_a_damaged_file(tmp_path: Path, damage: Damage) -> None:
    start(tmp_path).close()
    damage(tmp_path)
    start_pre(tmp_path)
    assert "a" in start(tmp_path).schedule


def test_the_scheduler_keeps_a_good_file(tmp_path: Path) -> None:
    scheduler = start(tmp_path)
    scheduler.schedule["a"].total_run_count = 7
    scheduler.close()
    start_pre(tmp_path)
    assert start(tmp_path).schedule["a"].total_run_count == 7
