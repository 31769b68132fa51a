import sqlite3
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy.orm import Session

from app.database.replica_lag import IGNORED_SECONDS, INTERVAL, LagMonitor
from app.extensions import db
from app.news import articles
from tests.unit.app.conftest import Publish
from tests.unit.app.database.conftest import failing


class FakeReplica:
    """The lag of a replica, and a clock."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.now = 1000.0
        self.measured = 0

    def measure(self, _session: Session) -> float:
        self.measured += 1
        return self.seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def replica(app: Flask, publish: Publish, monkeypatch: pytest.MonkeyPatch) -> FakeReplica:
    publish()
    fake = FakeReplica()
    monkeypatch.setattr("app.database.replica_lag._seconds_behind", fake.measure)
    monkeypatch.setattr("app.database.replica_lag.monotonic", fake.clock)
    app.extensions["database"].lag = LagMonitor(10.0)
    return fake


def source() -> str:
    """The database that a read uses."""
    return "primary" if db.read(articles.count) else "replica"


def test_a_lagging_replica_is_not_read_until_it_has_caught_up(replica: FakeReplica, app: Flask) -> None:
    moved = Mock()
    app.extensions["database"].on_lag.append(moved)
    seen = []
    for seconds in (0, 9, 11, 11, 60, 3, 0):
        replica.seconds = seconds
        seen.append(source())
        replica.now += INTERVAL
    # One late measurement does not count: after a quiet hour the first transaction looks late for an instant.
    assert seen == ["replica", "replica", "replica", "primary", "primary", "replica", "replica"]
    assert moved.call_count == 2
    assert "app_database_lagging_reads_total" in app.test_client().get("/metrics").text


def test_the_lag_is_measured_once_a_second(replica: FakeReplica) -> None:
    for _ in range(20):
        source()
    assert replica.measured == 1
    replica.now += INTERVAL
    source()
    assert replica.measured == 2


def test_a_lagging_replica_is_read_while_the_primary_is_down(replica: FakeReplica, app: Flask) -> None:
    replica.seconds = 60
    for _ in range(2):
        source()
        replica.now += INTERVAL
    assert source() == "primary"
    with failing(app.extensions["database"].primary, sqlite3.OperationalError("refused"), times=99):
        assert source() == "replica"
        replica.now += IGNORED_SECONDS / 2
        measured = replica.measured
        assert source() == "replica"
        assert replica.measured == measured, "the lag must not be measured in this time"
    for _ in range(2):
        replica.now += IGNORED_SECONDS
        last = source()
    assert last == "primary"
