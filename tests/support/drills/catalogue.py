"""The drills, cheap ones first: what breaks, for how long, and what users may notice of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING

from tests.support.drills import disk, faults, kept, store
from tests.support.drills.drill import Drill, Fault, Figures, lasts, until_taken_over
from tests.support.drills.samples import STALE
from tests.support.live.fleet import eventually

if TYPE_CHECKING:
    from tests.support.drills.arena import Arena

UNTOUCHED = {"read": 0.0, "write": 0.0}


def killed(tier: str, unit: str) -> Fault:
    """A service whose processes all get SIGKILL, on every host of its tier."""
    return lambda arena: faults.struck(arena.fleet, arena.group(tier), f"systemctl kill -s KILL {unit}")


def measuring_the_store(fault: Fault) -> Fault:
    """The fault, with somebody who writes to the Redis store all the while."""

    @contextmanager
    def both(arena: Arena) -> Iterator[Figures]:
        with store.written(arena.fleet, arena.group("app")[0]) as figures, fault(arena):
            yield figures

    return both


@contextmanager
def isolated_store(arena: Arena) -> Iterator[Figures]:
    """The store's master and one client of it are cut off from everybody else, together."""
    master, client = arena.leader("store"), arena.group("app")[0]
    others = [host for host in arena.fleet.hosts.values() if host != client]
    with (
        store.written(arena.fleet, client, master.address, "isolated") as figures,
        faults.cut_off(arena.fleet, master, *others),
    ):
        yield figures


def clients_cut_off(arena: Arena) -> AbstractContextManager[None]:
    """The primary is reached by the cluster, and by nobody whom it serves."""
    return faults.cut_off(arena.fleet, arena.leader("postgres"), *arena.group("app"), *arena.group("workers"))


@contextmanager
def primary_on_a_small_disk(arena: Arena) -> Iterator[None]:
    """The primary is a host whose write-ahead log has little room."""
    host = arena.standby
    with disk.small(arena.fleet, host):
        time.sleep(STALE)  # what was seen before the move is forgotten
        assert arena.wait_until_whole(120) is not None, arena.missing()

        def switched() -> bool:
            # Patroni forgets a request that comes in the moment in which it makes a standby synchronous.
            arena.fleet.run(
                host, f"patronictl -c /etc/patroni/config.yml switchover --force --candidate {host.name}", check=False
            )
            return eventually(lambda: arena.leaders("postgres") == {host.name}, within=8)

        assert eventually(switched, within=40), "the switchover did not happen"
        yield


def one_of(tier: str, fault: Callable[..., AbstractContextManager[None]]) -> Fault:
    """A fault of the first host of a tier."""
    return lambda arena: fault(arena.fleet, arena.group(tier)[0])


def leader_of(what: str, fault: Callable[..., AbstractContextManager[None]]) -> Fault:
    """A fault of the host that leads."""
    return lambda arena: fault(arena.fleet, arena.leader(what))


def leaders_process(what: str, command: str) -> Fault:
    """A command that kills something on the host that leads."""
    return lambda arena: faults.struck(arena.fleet, [arena.leader(what)], command)


def planned(what: str) -> Fault:
    """A leader hands over because an operator says so."""
    return lambda arena: faults.played(arena.fleet, "playbooks/switchover.yml", "-e", f"switchover_of={what}")


WORKERS = [
    Drill(
        "workers-killed", killed("workers", "celery-worker"), lasts(3), write_gap=1, failed=UNTOUCHED, heals_itself=True
    ),
]

REDIS = [
    Drill(
        "cache-flushed",
        lambda arena: faults.cache_flushed(arena.fleet),
        lasts(2),
        write_gap=1,
        failed=UNTOUCHED,
        heals_itself=True,
    ),
    Drill("cache-switchover", planned("cache"), lasts(1), write_gap=1, failed=UNTOUCHED),
    Drill(
        "store-switchover",
        measuring_the_store(planned("store")),
        lasts(1),
        write_gap=2,
        extra={"store_gap": 2, "store_lost": 0},
    ),
    Drill(
        "cache-away",
        lambda arena: faults.stopped(arena.fleet, arena.group("redis"), "redis@cache"),
        lasts(8),
        write_gap=1,
        failed=UNTOUCHED,
    ),
    Drill(
        "store-process-killed",
        measuring_the_store(leaders_process("store", "systemctl kill -s KILL redis@store")),
        lasts(4),
        write_gap=2,
        extra={"store_gap": 2, "store_lost": 0},
        heals_itself=True,
    ),
    Drill(
        "store-host-killed",
        measuring_the_store(leader_of("store", faults.dead)),
        until_taken_over("store"),
        write_gap=5,
        extra={"store_gap": 10, "store_lost": 0},
        core=True,
    ),
    Drill(
        "store-cut-off",
        measuring_the_store(leader_of("store", faults.cut_off)),
        until_taken_over("store"),
        write_gap=5,
        extra={"store_gap": 10, "store_lost": 0},
    ),
    # What is lost is what the master took until it noticed that no copy follows: measured, and promised to nobody.
    Drill("store-isolated-with-a-client", isolated_store, until_taken_over("store"), write_gap=5),
]

APP = [
    Drill("app-host-killed", one_of("app", faults.dead), lasts(8), write_gap=1, failed={"read": 0, "write": 0.01}),
    Drill("app-host-cut-off", one_of("app", faults.cut_off), lasts(12), write_gap=1, failed={"read": 0, "write": 0.01}),
    Drill(
        "app-host-frozen",
        one_of("app", faults.frozen),
        lasts(12),
        write_gap=1,
        failed={"read": 0, "write": 0.01},
        core=True,
    ),
]

FRONT_DOOR = [
    Drill(
        "nginx-killed",
        leaders_process("vip", "systemctl kill -s KILL nginx"),
        lasts(4),
        write_gap=1.5,
        heals_itself=True,
    ),
    Drill(
        "load-balancer-in-maintenance",
        kept.moved_by_plan,
        lasts(4),
        write_gap=1,
        failed=UNTOUCHED,
        extra={"cut": 0},
    ),
    Drill("load-balancer-killed", leader_of("vip", faults.dead), lasts(6), write_gap=1.5, core=True),
]

POSTGRES = [
    Drill("primary-switchover", planned("postgres"), lasts(1), write_gap=3),
    Drill(
        "postmaster-killed",
        # Its own number stands in the file; the process that Patroni started is another one's child by now.
        leaders_process("postgres", "kill -9 $(head -1 /var/lib/postgresql/17/main/postmaster.pid)"),
        lasts(4),
        write_gap=5,
        heals_itself=True,
        core=True,
    ),
    Drill("standby-killed", lambda arena: faults.dead(arena.fleet, arena.standby), lasts(6), write_gap=2, read_gap=2),
    # Nothing closes its connections: the primary waits for its answer until wal_sender_timeout, then for Patroni's next look.
    Drill(
        "standby-cut-off", lambda arena: faults.cut_off(arena.fleet, arena.standby), lasts(15), write_gap=10, read_gap=5
    ),
    Drill(
        "primary-frozen-5-s",
        lambda arena: faults.processes_frozen(arena.fleet, arena.leader("postgres"), "postgres"),
        lasts(5),
        write_gap=10,
    ),
    Drill(
        "primary-killed",
        leader_of("postgres", faults.dead),
        until_taken_over("postgres"),
        write_gap=30,
        read_gap=5,
        core=True,
    ),
    Drill(
        "primary-cut-off", leader_of("postgres", faults.cut_off), until_taken_over("postgres"), write_gap=30, read_gap=5
    ),
    Drill(
        "primary-disk-full",
        lambda arena: disk.full(arena.fleet, arena.leader("postgres")),
        until_taken_over("postgres"),
        write_gap=10,
        read_gap=2,
        setting=primary_on_a_small_disk,
    ),
    Drill(
        "standby-replaced", lambda arena: faults.replaced(arena.fleet, arena.standby), lasts(2), write_gap=2, read_gap=2
    ),
    Drill("primary-cut-off-from-clients", clients_cut_off, until_taken_over("postgres"), write_gap=30, read_gap=5),
    Drill(
        "primary-frozen-40-s",
        lambda arena: faults.processes_frozen(arena.fleet, arena.leader("postgres"), "postgres"),
        lasts(40),
        write_gap=30,
        read_gap=5,
        # One that thaws believes for a moment to be what it was. A watchdog device prevents it, which containers have not.
        primaries=2,
    ),
]

ETCD = [
    Drill(
        "etcd-member-killed",
        lambda arena: faults.etcd_killed(arena.fleet, leader=False),
        lasts(4),
        write_gap=1,
        failed=UNTOUCHED,
        heals_itself=True,
    ),
    Drill(
        "etcd-leader-killed",
        lambda arena: faults.etcd_killed(arena.fleet, leader=True),
        lasts(5),
        write_gap=1,
        failed=UNTOUCHED,
        heals_itself=True,
    ),
    Drill(
        "etcd-away-30-s",
        lambda arena: faults.stopped(arena.fleet, arena.group("etcd"), "etcd"),
        lasts(30),
        write_gap=1,
        failed=UNTOUCHED,
        core=True,
    ),
]

EVERYTHING = [
    Drill("witness-killed", one_of("monitoring", faults.dead), lasts(6), write_gap=1, failed=UNTOUCHED),
    Drill(
        "power-cut",
        lambda arena: faults.dead(arena.fleet, *arena.fleet.hosts.values()),
        lasts(2),
        write_gap=90,
        read_gap=60,
        patience=180,
        core=True,
    ),
]

DRILLS = [*WORKERS, *REDIS, *FRONT_DOOR, *ETCD, *APP, *POSTGRES, *EVERYTHING]
