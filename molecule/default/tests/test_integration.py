"""Runs the integration tests on the fleet's Postgres, and on a separate Redis of the same build."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest

from tests.support.live.fleet import LiveFleet
from tests.support.live.tunnel import tunnel
from tools.fleet.context import ROOT

SOCKET_POSTGRES = "/run/postgresql/.s.PGSQL.5432"
SOCKET_REDIS = "/run/scratch-redis/redis.sock"


@contextmanager
def suite(name: str, *arguments: str, **environment: str) -> Iterator[None]:
    """Run a suite of integration tests during the context. Fail at its end if the suite failed."""
    report = ROOT / ".cache" / "reports" / f"{name}.xml"
    command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", "-o", f"junit_suite_name={name}"]
    with subprocess.Popen(
        [*command, *arguments], cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, text=True
    ) as process:
        yield
        output, _ = process.communicate(timeout=900)
    assert process.returncode == 0, output[-8000:]


@pytest.fixture
def database_url(fleet: LiveFleet) -> Iterator[str]:
    """The URL of the primary for a user who can create databases. Both are removed afterwards."""
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
    """The URL of an empty Redis next to the fleet's, of the same build."""
    host = fleet.group("redis")[0]
    unit = "systemd-run --quiet --collect --unit=scratch-redis --property=RuntimeDirectory=scratch-redis"
    server = f"redis-server --port 0 --unixsocket {SOCKET_REDIS} --unixsocketperm 777 --save '' --appendonly no"
    fleet.run(host, f"{unit} {server}")
    try:
        with tunnel(fleet.fleet, host, SOCKET_REDIS) as port:
            yield f"redis://127.0.0.1:{port}/0"
    finally:
        fleet.run(host, "systemctl stop scratch-redis")


def test_the_integration_tests_pass_on_the_servers_of_a_fleet(database_url: str, redis_url: str) -> None:
    # In parallel, because the workers' tests mostly wait.
    with (
        suite("integration-redis", "tests/integration/with_redis", TEST_REDIS_URL=redis_url),
        suite(
            "integration-postgres",
            "tests/integration",
            "--ignore=tests/integration/with_redis",
            TEST_DATABASE_URL=database_url,
        ),
    ):
        pass
