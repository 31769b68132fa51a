"""Faults that an ordinary client notices, which knows only the addresses of HAProxy on its own host."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.support.drills import faults, store
from tests.support.drills.drill import Fault, Figures
from tests.support.drills.playbooks import play
from tests.support.drills.runner import DrillRunner

POSTGRES_WRITER = Path(__file__).with_name("postgres_writer.py").read_text()
POSTGRES_PORT = 15432


def with_store_writes(fault: Fault) -> Fault:
    """Add continuous writes through HAProxy to the Redis store to a fault."""

    @contextmanager
    def both(runner: DrillRunner) -> Iterator[Figures]:
        with store.continuous_writes(runner.fleet, runner.group("app")[0], "proxy") as figures, fault(runner):
            yield figures

    return both


@contextmanager
def store_and_a_sentinel_stopped(runner: DrillRunner) -> Iterator[None]:
    """Stop the master of the store, and a Sentinel on another host."""
    master = runner.leader("store")
    sentinel = next(
        host for host in runner.group("sentinel") if host.name not in {master.name, *runner.leaders("cache")}
    )
    with (
        faults.stopped(runner.fleet, [sentinel], "redis-sentinel"),
        faults.stopped(runner.fleet, [master], "redis@store"),
    ):
        yield


@contextmanager
def postgres_behind_the_proxy(runner: DrillRunner) -> Iterator[None]:
    """Let HAProxy lead to Postgres, too, which it does not do for an application that connects directly."""
    play(runner.fleet, "site.yml", "--tags", "haproxy", "-e", "app_database_via=proxy").succeeded()
    try:
        yield
    finally:
        play(runner.fleet, "site.yml", "--tags", "haproxy").succeeded()


def with_postgres_writes(fault: Fault) -> Fault:
    """Add continuous writes through HAProxy to a table of its own to a fault of Postgres."""

    @contextmanager
    def both(runner: DrillRunner) -> Iterator[Figures]:
        table = f"drill_{uuid4().hex[:8]}"
        runner.fleet.sql(
            runner.leader("postgres"), f"create table {table} (number int primary key); grant all on {table} to public"
        )
        client = runner.group("app")[0]
        with (
            store.acknowledged_writes(runner.fleet, client, POSTGRES_WRITER, [table, str(POSTGRES_PORT)], "proxy") as (
                figures,
                numbers,
            ),
            fault(runner),
        ):
            yield figures
        primary = runner.leader("postgres")
        stored = set(map(int, runner.fleet.sql(primary, f"select number from {table}").split()))
        figures["proxy_lost"] = sum(number not in stored for number in numbers)
        runner.fleet.sql(primary, f"drop table {table}")

    return both
