"""All failure drills, fast ones first: what breaks, for how long, and the limits for what users notice."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from tests.support.drills import disk, faults, in_flight, proxy, store
from tests.support.drills.drill import Drill, Fault, Figures, hold_for, until_failover
from tests.support.drills.observer import STALE
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import eventually

NO_FAILURES = {"read": 0.0, "write": 0.0}
FEW_LOST_WRITES = {"read": 0.0, "write": 0.01}
SHORT_STORE_PAUSE, STORE_FAILOVER = {"store_gap": 2, "store_lost": 0}, {"store_gap": 10, "store_lost": 0}


def killed(tier: str, unit: str) -> Fault:
    """Kill all processes of a service on every host of its tier."""
    return lambda runner: faults.command_run(runner.fleet, runner.group(tier), f"systemctl kill -s KILL {unit}")


def stopped(tier: str, unit: str) -> Fault:
    """Stop a service on every host of its tier."""
    return lambda runner: faults.stopped(runner.fleet, runner.group(tier), unit)


def with_store_writes(fault: Fault) -> Fault:
    """Add continuous writes to the Redis store to a fault."""

    @contextmanager
    def both(runner: DrillRunner) -> Iterator[Figures]:
        with store.continuous_writes(runner.fleet, runner.group("app")[0]) as figures, fault(runner):
            yield figures

    return both


@contextmanager
def isolated_store(runner: DrillRunner) -> Iterator[Figures]:
    """Cut off the store's master together with one client from all other hosts."""
    master, client = runner.leader("store"), runner.group("app")[0]
    others = [host for host in runner.fleet.hosts.values() if host != client]
    with (
        store.continuous_writes(runner.fleet, client, master.address, "isolated") as figures,
        faults.cut_off(runner.fleet, master, *others),
    ):
        yield figures


def clients_cut_off(runner: DrillRunner) -> AbstractContextManager[None]:
    """Cut off the primary from its clients, but not from the cluster."""
    return faults.cut_off(runner.fleet, runner.leader("postgres"), *runner.group("app"), *runner.group("workers"))


@contextmanager
def primary_on_a_small_disk(runner: DrillRunner) -> Iterator[None]:
    """Make a host with little disk space for its write-ahead log the primary."""
    host = runner.standby
    with disk.small(runner.fleet, host):
        time.sleep(STALE)  # until facts from before the move have expired
        runner.wait_until_redundant(120)

        def switch() -> bool:
            # Patroni loses a request that arrives while it makes a standby synchronous.
            runner.fleet.run(
                host, f"patronictl -c /etc/patroni/config.yml switchover --force --candidate {host.name}", check=False
            )
            return eventually(lambda: runner.leaders("postgres") == {host.name}, within=8)

        assert eventually(switch, within=40), "the switchover did not happen"
        yield


def one_of(tier: str, fault: Callable[..., AbstractContextManager[None]]) -> Fault:
    """Apply a fault to the first host of a tier."""
    return lambda runner: fault(runner.fleet, runner.group(tier)[0])


def on_standby(fault: Callable[..., AbstractContextManager[None]]) -> Fault:
    """Apply a fault to a Postgres host that is not the primary."""
    return lambda runner: fault(runner.fleet, runner.standby)


def leader_of(role: str, fault: Callable[..., AbstractContextManager[None]]) -> Fault:
    """Apply a fault to the leader."""
    return lambda runner: fault(runner.fleet, runner.leader(role))


@contextmanager
def killed_during_a_long_read(runner: DrillRunner) -> Iterator[None]:
    """Power off the primary while a read on the standby blocks the replay of its changes."""
    primary, standby = runner.leader("postgres"), runner.standby
    read = "begin isolation level repeatable read; select count(*) from article; select pg_sleep(60)"
    psql = f"cd / && sudo -u postgres psql -Xq -d {runner.fleet.app_name} -c '{read}'"
    runner.fleet.run(standby, f"({psql}) >/dev/null 2>&1 &")
    waiting = "select count(*) from pg_stat_activity where query like '%pg_sleep(60)%' and wait_event = 'PgSleep'"
    assert eventually(lambda: runner.fleet.sql(standby, waiting) == "1", within=10), "the read did not begin"
    # Removes row versions that the read still sees.
    runner.fleet.sql(primary, "update article set title = title where id = (select min(id) from article)")
    runner.fleet.sql(primary, "vacuum article")
    with faults.powered_off(runner.fleet, primary):
        yield


def command_on_leader(role: str, command: str) -> Fault:
    """Run a command on the leader that kills a process."""
    return lambda runner: faults.command_run(runner.fleet, [runner.leader(role)], command)


def etcd_killed(leader: bool) -> Fault:
    """Kill the leader of etcd, or another member."""
    return lambda runner: faults.etcd_killed(runner.fleet, leader)


def switchover(role: str) -> Fault:
    """Run the playbook for a switchover."""
    return lambda runner: faults.playbook_run(runner.fleet, "playbooks/switchover.yml", "-e", f"switchover_of={role}")


def unnoticed(name: str, fault: Fault, hold: Callable[[DrillRunner], None], **options: Any) -> Drill:
    """Return a drill in which no request may fail."""
    return Drill(name, fault, hold, write_gap=1, failed=NO_FAILURES, **options)


def store_failover(name: str, fault: Callable[..., AbstractContextManager[None]], **options: Any) -> Drill:
    """Return a drill in which the store's master fails until another host has taken over."""
    writes = with_store_writes(leader_of("store", fault))
    return Drill(name, writes, until_failover("store"), write_gap=5, extra=STORE_FAILOVER, **options)


def postgres_failover(name: str, fault: Fault, **options: Any) -> Drill:
    """Return a drill in which the primary fails until another host has taken over."""
    return Drill(name, fault, until_failover("postgres"), write_gap=30, read_gap=5, **options)


WORKERS = [unnoticed("workers-killed", killed("workers", "celery-worker"), hold_for(3), heals_itself=True)]

REDIS = [
    unnoticed("cache-flushed", lambda runner: faults.cache_flushed(runner.fleet), hold_for(2), heals_itself=True),
    unnoticed("cache-switchover", switchover("cache"), hold_for(1)),
    Drill(
        "store-switchover", with_store_writes(switchover("store")), hold_for(1), write_gap=2, extra=SHORT_STORE_PAUSE
    ),
    unnoticed("cache-away", stopped("redis", "redis@cache"), hold_for(8)),
    Drill(
        "store-process-killed",
        with_store_writes(command_on_leader("store", "systemctl kill -s KILL redis@store")),
        hold_for(4),
        write_gap=2,
        extra=SHORT_STORE_PAUSE,
        heals_itself=True,
    ),
    store_failover("store-host-killed", faults.powered_off, core=True),
    store_failover("store-cut-off", faults.cut_off),
    # Writes that the master accepts before it notices the missing replicas are lost. They are measured, without a
    # limit.
    Drill("store-isolated-with-a-client", isolated_store, until_failover("store"), write_gap=5),
]

# Writes of an ordinary client, which knows no Sentinel and no host list, on an application host.
PROXY = [
    Drill(
        "proxy-store-switchover",
        proxy.with_store_writes(switchover("store")),
        hold_for(1),
        write_gap=2,
        extra={"store_gap": 5, "store_lost": 0},
    ),
    Drill(
        "proxy-store-host-killed",
        proxy.with_store_writes(leader_of("store", faults.powered_off)),
        until_failover("store"),
        write_gap=5,
        extra=STORE_FAILOVER,
    ),
    Drill(
        "proxy-store-stopped-without-a-sentinel",
        proxy.with_store_writes(proxy.store_and_a_sentinel_stopped),
        until_failover("store"),
        write_gap=5,
        extra=STORE_FAILOVER,
    ),
    Drill(
        "proxy-primary-killed",
        proxy.with_postgres_writes(leader_of("postgres", faults.powered_off)),
        until_failover("postgres"),
        write_gap=30,
        read_gap=5,
        extra={"proxy_gap": 30, "proxy_lost": 0},
        prepare=proxy.postgres_behind_the_proxy,
    ),
]

APP = [
    Drill("app-host-killed", one_of("app", faults.powered_off), hold_for(8), write_gap=1, failed=FEW_LOST_WRITES),
    Drill("app-host-cut-off", one_of("app", faults.cut_off), hold_for(12), write_gap=1, failed=FEW_LOST_WRITES),
    Drill(
        "app-host-frozen", one_of("app", faults.frozen), hold_for(12), write_gap=1, failed=FEW_LOST_WRITES, core=True
    ),
]

FRONT_DOOR = [
    Drill(
        "nginx-killed",
        command_on_leader("vip", "systemctl kill -s KILL nginx"),
        hold_for(4),
        write_gap=1.5,
        heals_itself=True,
    ),
    unnoticed("load-balancer-in-maintenance", in_flight.planned_move, hold_for(4), extra={"cut": 0}),
    Drill("load-balancer-killed", leader_of("vip", faults.powered_off), hold_for(6), write_gap=1.5, core=True),
]

POSTGRES = [
    Drill("primary-switchover", switchover("postgres"), hold_for(1), write_gap=3),
    Drill(
        "postmaster-killed",
        # The file has the postmaster's pid. The process that Patroni started directly has exited by now.
        command_on_leader("postgres", "kill -9 $(head -1 /var/lib/postgresql/17/main/postmaster.pid)"),
        hold_for(4),
        write_gap=5,
        heals_itself=True,
        core=True,
    ),
    Drill("standby-killed", on_standby(faults.powered_off), hold_for(6), write_gap=2, read_gap=2),
    # No connection is closed: the primary waits for wal_sender_timeout, then for Patroni's next check.
    Drill("standby-cut-off", on_standby(faults.cut_off), hold_for(15), write_gap=10, read_gap=5),
    Drill("primary-frozen-5-s", leader_of("postgres", faults.postgres_frozen), hold_for(5), write_gap=10),
    postgres_failover("primary-killed", leader_of("postgres", faults.powered_off), core=True),
    postgres_failover("primary-killed-during-a-long-read", killed_during_a_long_read),
    postgres_failover("primary-cut-off", leader_of("postgres", faults.cut_off)),
    Drill(
        "primary-disk-full",
        leader_of("postgres", disk.full),
        until_failover("postgres"),
        write_gap=10,
        read_gap=2,
        prepare=primary_on_a_small_disk,
    ),
    Drill("standby-replaced", on_standby(faults.replaced), hold_for(2), write_gap=2, read_gap=2),
    postgres_failover("primary-cut-off-from-clients", clients_cut_off),
    Drill(
        "primary-frozen-40-s",
        leader_of("postgres", faults.postgres_frozen),
        hold_for(40),
        write_gap=30,
        read_gap=5,
        # A thawed primary still believes for a moment that it leads. A watchdog device prevents that; containers have
        # none.
        primaries=2,
    ),
]

ETCD = [
    unnoticed("etcd-member-killed", etcd_killed(leader=False), hold_for(4), heals_itself=True),
    unnoticed("etcd-leader-killed", etcd_killed(leader=True), hold_for(5), heals_itself=True),
    unnoticed("etcd-away-30-s", stopped("etcd", "etcd"), hold_for(30), core=True),
]

EVERYTHING = [
    unnoticed("witness-killed", one_of("monitoring", faults.powered_off), hold_for(6)),
    Drill(
        "power-cut",
        lambda runner: faults.powered_off(runner.fleet, *runner.fleet.hosts.values()),
        hold_for(2),
        write_gap=90,
        read_gap=60,
        timeout=180,
        core=True,
    ),
]

DRILLS = [*WORKERS, *REDIS, *PROXY, *FRONT_DOOR, *ETCD, *APP, *POSTGRES, *EVERYTHING]
