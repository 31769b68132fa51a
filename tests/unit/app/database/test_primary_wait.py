import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from types import SimpleNamespace
from unittest.mock import Mock

import psycopg2
import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import config
from app.database import primary_wait
from app.database.engine import Database
from app.database.primary_wait import RETRY_SECONDS, PrimaryWait


class RefusedError(Exception):
    """There is no primary."""


def refused(times: int) -> Callable[[], str]:
    left = iter(range(times))

    def attempt() -> str:
        for _ in left:
            raise RefusedError
        return "connected"

    return attempt


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that only the module's own pauses advance. Threads of other tests keep the real one."""
    now = [1000.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr(primary_wait, "time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))
    return now


def test_a_connection_waits_during_a_switchover(clock: list[float]) -> None:
    assert PrimaryWait(3, max_threads=1).connect(refused(20), RefusedError) == "connected"
    assert clock[0] == pytest.approx(1000 + 20 * RETRY_SECONDS)


def test_a_long_outage_delays_only_the_first_connection(clock: list[float]) -> None:
    wait = PrimaryWait(3, max_threads=1)
    for _ in range(3):
        with pytest.raises(RefusedError):
            wait.connect(refused(1000), RefusedError)
    assert clock[0] == pytest.approx(1003, abs=2 * RETRY_SECONDS)


def test_a_connection_waits_again_in_the_next_outage(clock: list[float]) -> None:
    wait = PrimaryWait(3, max_threads=1)
    with pytest.raises(RefusedError):
        wait.connect(refused(1000), RefusedError)
    clock[0] += 60
    assert wait.connect(refused(5), RefusedError) == "connected"


@pytest.mark.parametrize(("seconds", "awaited"), [(0, RefusedError), (3, ValueError)])
def test_without_seconds_and_for_other_errors_nothing_waits(
    clock: list[float], seconds: float, awaited: type[Exception]
) -> None:
    with pytest.raises(RefusedError):
        PrimaryWait(seconds, max_threads=1).connect(refused(1), awaited)
    assert clock[0] == 1000


def test_only_max_threads_wait() -> None:
    wait = PrimaryWait(30, max_threads=1)
    primary_is_up, waiting = threading.Event(), threading.Event()

    def attempt() -> str:
        if primary_is_up.is_set():
            return "connected"
        waiting.set()
        raise RefusedError

    first = threading.Thread(target=wait.connect, args=(attempt, RefusedError))
    first.start()
    assert waiting.wait(10)
    time.sleep(RETRY_SECONDS)
    with pytest.raises(RefusedError):
        wait.connect(attempt, RefusedError)
    primary_is_up.set()
    first.join(10)
    primary_is_up.clear()
    assert wait._slots.acquire(blocking=False), "a slot was not released"


@pytest.mark.usefixtures("clock")
def test_only_connections_to_the_primary_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = Mock(side_effect=psycopg2.OperationalError("session is read-only"))
    monkeypatch.setattr(psycopg2, "connect", connect)
    database = Database(
        "postgresql+psycopg2://news@primary/news", "postgresql+psycopg2://news@replica/news", asdict(config.Testing())
    )
    for run in (database.write, database.read):
        with pytest.raises(OperationalError):
            run(lambda session: session.execute(text("SELECT 1")))
    attempts = [call.kwargs["host"] for call in connect.call_args_list]
    assert attempts.count("primary") > 10
    assert attempts.count("replica") == 1
