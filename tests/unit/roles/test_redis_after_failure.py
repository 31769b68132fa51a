"""What happens after an instance of Redis has failed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.unit.roles.modules import ROLES, load

program = load(ROLES / "redis/files/redis_after_failure.py")


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[float]:
    """The delays of the program, which handles an instance that failed."""
    delays: list[float] = []
    monkeypatch.setattr(program.time, "sleep", delays.append)
    monkeypatch.setattr(program, "DATA", tmp_path)
    monkeypatch.setenv("SERVICE_RESULT", "core-dump")
    (tmp_path / "store").mkdir()
    return delays


def disk(**values: int) -> SimpleNamespace:
    """Return the state of a disk with enough space, except for the given values."""
    return SimpleNamespace(**{"f_bavail": 10**9, "f_frsize": 4096, "f_files": 10**6, "f_favail": 10**6} | values)


@pytest.mark.parametrize(
    ("state", "delays"),
    [
        (disk(), []),
        (disk(f_files=0, f_favail=0), []),  # no limit on the number of files
        (disk(f_bavail=10), [30]),
        (disk(f_favail=0), [30]),
    ],
)
def test_only_a_full_disk_delays_the_restart(
    state: SimpleNamespace, delays: list[float], slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.os, "statvfs", lambda _: state)
    program.main("store")
    assert slept == delays


def test_a_stop_is_not_delayed(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program.os, "statvfs", lambda _: disk(f_bavail=0))
    monkeypatch.setenv("SERVICE_RESULT", "success")
    program.main("store")
    assert slept == []
