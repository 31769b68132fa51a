from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import config
from app.database.engine import Database
from app.database.primary_wait import PAUSE, PrimaryWait


class RefusedError(Exception):
    """No primary is there."""


def refused(times: int) -> Callable[[], str]:
    left = iter(range(times))

    def attempt() -> str:
        for _ in left:
            raise RefusedError
        return "connected"

    return attempt


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A time that passes only where somebody waits."""
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def test_a_hand_over_is_waited_for(clock: list[float]) -> None:
    assert PrimaryWait(3, waiting=1).connect(refused(20), RefusedError) == "connected"
    assert clock[0] == pytest.approx(1000 + 20 * PAUSE)


def test_a_longer_outage_is_waited_for_once(clock: list[float]) -> None:
    wait = PrimaryWait(3, waiting=1)
    for _ in range(3):
        with pytest.raises(RefusedError):
            wait.connect(refused(1000), RefusedError)
    assert clock[0] == pytest.approx(1003, abs=2 * PAUSE)


def test_the_next_outage_is_waited_for_again(clock: list[float]) -> None:
    wait = PrimaryWait(3, waiting=1)
    with pytest.raises(RefusedError):
        wait.connect(refused(1000), RefusedError)
    clock[0] += 60
    assert wait.connect(refused(5), RefusedError) == "connected"


def test_nobody_waits_where_that_is_switched_off(clock: list[float]) -> None:
    with pytest.raises(RefusedError):
        PrimaryWait(0, waiting=1).connect(refused(1), RefusedError)
    assert clock[0] == 1000


def test_another_error_is_nothing_to_wait_for(clock: list[float]) -> None:
    with pytest.raises(RefusedError):
        PrimaryWait(3, waiting=1).connect(refused(1), ValueError)
    assert clock[0] == 1000


def test_only_some_wait() -> None:
    wait = PrimaryWait(30, waiting=1)
    there, waiting = threading.Event(), threading.Event()

    def attempt() -> str:
        if there.is_set():
            return "connected"
        waiting.set()
        raise RefusedError

    first = threading.Thread(target=wait.connect, args=(attempt, RefusedError))
    first.start()
    assert waiting.wait(10)
    time.sleep(PAUSE)
    with pytest.raises(RefusedError):
        wait.connect(attempt, RefusedError)
    there.set()
    first.join(10)
    there.clear()
    assert wait._places.acquire(blocking=False), "who has waited gives the place back"


@pytest.mark.usefixtures("clock")
def test_writes_wait_for_a_primary_and_reads_of_a_replica_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def connect(*_: Any, **parameters: Any) -> None:
        asked.append(parameters["host"])
        raise psycopg2.OperationalError("session is read-only")

    monkeypatch.setattr(psycopg2, "connect", connect)
    database = Database(
        "postgresql+psycopg2://news@primary/news", "postgresql+psycopg2://news@replica/news", asdict(config.Testing())
    )
    with pytest.raises(OperationalError):
        database.write(lambda session: session.execute(text("SELECT 1")))
    with pytest.raises(OperationalError):
        database.read(lambda session: session.execute(text("SELECT 1")))
    assert asked.count("primary") > 10
    assert asked.count("replica") == 1
