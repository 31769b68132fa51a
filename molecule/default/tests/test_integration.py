"""The integration tests on this fleet's own servers: its Postgres, and a Redis of its build that they may empty."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.support.live.fleet import LiveFleet
from tests.support.live.tunnel import tunnel
from tools.fleet.context import ROOT

SOCKET_POSTGRES = "/run/postgresql/.s.PGSQL.5432"
SOCKET_REDIS = "/run/scratch-redis/redis.sock"


def run(name: str, paths: list[str], **environment: str) -> None:
    """Run integration tests; they are counted with the others by their report."""
    report = ROOT / ".cache" / "reports" / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "-o", f"junit_suite_name={name}", *paths]
    result = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert result.returncode == 0, result.stdout[-8000:]


@pytest.fixture
def database_url(fleet: LiveFleet) -> Iterator[str]:
    """The URL of the primary for a user who may make databases; the user and what they made is gone afterwards."""
    primary, role, password = fleet.primary, f"scratch_{uuid4().hex[:8]}", uuid4().hex
    fleet.sql(primary, f"create role {role} login createdb password '{password}'")
    try:
        with tunnel(fleet.fleet, primary, SOCKET_POSTGRES) as port:
            yield f"postgresql+psycopg2://{role}:{password}@127.0.0.1:{port}/postgres"
    finally:
        primary = fleet.primary
        databases = f"select datname from pg_database join pg_roles on pg_roles.oid = datdba where rolname = '{role}'"
        for database in fleet.sql(primary, databases).splitlines():
            fleet.sql(primary, f"drop database {database} with (force)")
        fleet.sql(primary, f"drop role {role}")


@pytest.fixture
def redis_url(fleet: LiveFleet) -> Iterator[str]:
    """The URL of an empty Redis beside the fleet's, of the same build."""
    host = fleet.group("redis")[0]
    unit = "systemd-run --quiet --collect --unit=scratch-redis --property=RuntimeDirectory=scratch-redis"
    server = f"redis-server --port 0 --unixsocket {SOCKET_REDIS} --unixsocketperm 777 --save '' --appendonly no"
    fleet.run(host, f"{unit} {server}")
    try:
        with tunnel(fleet.fleet, host, SOCKET_REDIS) as port:
            yield f"redis://127.0.0.1:{port}/0"
    finally:
        fleet.run(host, "systemctl stop scratch-redis")


def test_every_statement_finds_its_rows_by_an_index_and_the_api_keeps_its_word(database_url: str) -> None:
    run(
        "integration-postgres",
        ["tests/integration", "--ignore=tests/integration/with_redis"],
        TEST_DATABASE_URL=database_url,
    )


def test_tasks_and_cache_keep_their_promises_between_processes(redis_url: str) -> None:
    run("integration-redis", ["tests/integration/with_redis"], TEST_REDIS_URL=redis_url)
