"""What operators do to a fleet under load, as drills: changes that restart something, and hosts that are replaced."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, Any

from tests.support.drills import store
from tests.support.drills.drill import Drill, Fault, Figures, lasts
from tests.support.drills.runs import make_anew, play, processes, replace, restarted, site
from tests.support.live.clients import visitor
from tools.fleet.redundancy import is_leader

if TYPE_CHECKING:
    from tests.support.drills.arena import Arena
    from tools.fleet.context import Host


def change(tags: str, **variables: Any) -> Fault:
    """A run with other values; what is not named gets the inventory's again. The store is written to all the while."""

    @contextmanager
    def run(arena: Arena) -> Iterator[Figures]:
        begin = time.time()
        with store.written(arena.fleet, arena.group("app")[0]) as figures:
            done = site(arena.fleet, "--tags", tags, "--extra-vars", json.dumps(variables))
            assert done.code == 0, done.output[-3000:]
            assert done.hosts_with("changed"), "nothing was changed"
            waiting = {
                host.name: arena.fleet.sql(host, "select name from pg_settings where pending_restart")
                for host in arena.group("postgres")
            }
            assert not any(waiting.values()), f"settings that wait for a restart: {waiting}"
            again = [
                what
                for what in ("postgres", "store", "cache")
                for host in arena.fleet.hosts
                if led_again(arena, what, host, begin)
            ]
            assert not again, f"a former leader came back as one: {again}"
            yield figures

    return run


def only(units: set[str], fault: Fault) -> Fault:
    """A change by which nothing else restarts than these units, and those on every host that has one."""

    @contextmanager
    def run(arena: Arena) -> Iterator[Figures | None]:
        before = processes(arena.fleet)
        with fault(arena) as figures:
            expected = {(host.name, unit) for unit in units for host in arena.group(unit)}
            assert restarted(before, processes(arena.fleet)) == expected
            yield figures

    return run


def seen_by_users(header: str, value: str, fault: Fault) -> Fault:
    """A change of nginx that each load balancer has loaded in its turn, last the one with the virtual address."""

    @contextmanager
    def run(arena: Arena) -> Iterator[Figures | None]:
        leading = arena.leader("vip")
        with fault(arena) as figures:
            loaded = {
                host.name: float(arena.fleet.run(host, "stat -c %.3Y /run/nginx.loaded").stdout)
                for host in arena.group("loadbalancers")
            }
            assert max(loaded, key=loaded.__getitem__) == leading.name, loaded
            with visitor(arena.fleet) as client:
                assert value in client.get("/").headers[header]
            yield figures

    return run


def led_again(arena: Arena, what: str, host: str, begin: float) -> bool:
    """Whether a host led, followed, and then led again. One that was silent in between has restarted where it is."""
    answers = [
        sample.value
        for sample in arena.observer.between(begin, time.time())
        if (sample.what, sample.host) == (what, host)
    ]
    seen = [is_leader(value) for value in answers if value is not None]
    return [leading for leading, _ in groupby(seen)] in ([True, False, True], [True, False, True, False])


def replaced(choose: Callable[[Arena], Host]) -> Fault:
    """A host that is taken out, made anew and filled, by the commands of docs/operations.md."""

    @contextmanager
    def run(arena: Arena) -> Iterator[None]:
        host = choose(arena)
        taken_out = replace(arena.fleet, host)
        assert f"{host.name} is out of the fleet" in taken_out.output, taken_out.output[-3000:]
        make_anew(arena.fleet, host)
        filled = replace(arena.fleet, host)
        assert filled.code == 0, filled.output[-3000:]
        yield

    return run


def follower(what: str, tier: str) -> Callable[[Arena], Host]:
    """A host of a tier that leads nothing of its kind."""
    return lambda arena: next(host for host in arena.group(tier) if host.name not in arena.leaders(what))


@contextmanager
def one_host_leads_redis(arena: Arena) -> Iterator[None]:
    """Both masters are on one host, so that the other may go."""
    (name,) = arena.leaders("store")
    if arena.leaders("cache") != {name}:
        moved = play(
            arena.fleet, "playbooks/switchover.yml", "-e", "switchover_of=cache", "-e", f"switchover_to={name}"
        )
        assert moved.code == 0, moved.output[-3000:]
    yield


STORE = {"store_gap": 2, "store_lost": 0}
STILL = {"store_gap": 0.5, "store_lost": 0}
UNNOTICED = {"read": 0.0, "write": 0.0, "session": 0.0}
WATCHED = {"deploy_canary_seconds": 5}
HSTS = "strict-transport-security"
CHANGES = [
    Drill("more-connections", change("postgres", postgres_max_connections=210), lasts(1), write_gap=3, extra=STILL),
    # A smaller number has to begin with the primary, so that one restarts where it is.
    Drill("fewer-connections", change("postgres"), lasts(1), write_gap=5, extra=STILL),
    Drill("more-buffers", change("postgres", postgres_shared_buffers_mb=180), lasts(1), write_gap=3, extra=STILL),
    Drill("the-buffers-of-before", change("postgres"), lasts(1), write_gap=3, extra=STILL),
    Drill(
        "store-with-threads", change("redis", redis_store_config={"io-threads": 2}), lasts(1), write_gap=2, extra=STORE
    ),
    Drill(
        "store-without-threads",
        change("redis", redis_store_config={"io-threads": 1}),
        lasts(1),
        write_gap=2,
        extra=STORE,
    ),
    Drill("slower-heartbeats", change("etcd", etcd_heartbeat_interval=250), lasts(1), write_gap=1, extra=STILL),
    Drill("heartbeats-of-before", change("etcd"), lasts(1), write_gap=1, extra=STILL),
    Drill(
        "slower-advertisements", change("nginx", keepalived_advert_interval=0.3), lasts(1), write_gap=1.5, extra=STILL
    ),
    Drill("advertisements-of-before", change("nginx"), lasts(1), write_gap=1.5, extra=STILL),
    Drill(
        "fewer-threads-longer-hsts",
        only(
            {"app"},
            seen_by_users(HSTS, "63072000", change("app,nginx", app_threads=6, nginx_hsts_max_age=63072000, **WATCHED)),
        ),
        lasts(1),
        write_gap=1,
        failed=UNNOTICED,
        extra=STILL,
    ),
    Drill(
        "threads-and-hsts-of-before",
        only({"app"}, seen_by_users(HSTS, "31536000", change("app,nginx", **WATCHED))),
        lasts(1),
        write_gap=1,
        failed=UNNOTICED,
        extra=STILL,
    ),
]
REPLACEMENTS = [
    Drill("standby-replaced-by-hand", replaced(lambda arena: arena.standby), lasts(1), write_gap=3, read_gap=2),
    Drill(
        "redis-replica-replaced",
        replaced(follower("store", "redis")),
        lasts(1),
        write_gap=2,
        setting=one_host_leads_redis,
    ),
    Drill("load-balancer-replaced", replaced(lambda arena: arena.leader("vip")), lasts(1), write_gap=1.5),
    Drill(
        "app-host-replaced",
        replaced(lambda arena: arena.group("app")[0]),
        lasts(1),
        write_gap=1,
        failed={"read": 0, "write": 0.01},
    ),
]
