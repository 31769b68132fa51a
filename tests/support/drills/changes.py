"""Operators' work under load, as drills: configuration changes that restart services, and replaced hosts."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby
from typing import Any

from tests.support.drills import store
from tests.support.drills.catalogue import FEW_LOST_WRITES, SHORT_STORE_PAUSE
from tests.support.drills.drill import Drill, Fault, Figures, hold_for
from tests.support.drills.playbooks import play, processes, recreate_host, replace, restarted
from tests.support.drills.runner import DrillRunner
from tests.support.live.clients import visitor
from tools.fleet.context import Host
from tools.fleet.view import is_leader


def change(tags: str, **variables: Any) -> Fault:
    """Run site.yml with other variables, under continuous writes to the store.

    Variables that are not given are reset.
    """

    @contextmanager
    def run(runner: DrillRunner) -> Iterator[Figures]:
        begin = time.time()
        with store.continuous_writes(runner.fleet, runner.group("app")[0]) as figures:
            options = ["--tags", tags, "--extra-vars", json.dumps(variables)]
            result = play(runner.fleet, "site.yml", *options).succeeded()
            assert result.hosts_with("changed"), "nothing was changed"
            pending = {
                host.name: runner.fleet.sql(host, "select name from pg_settings where pending_restart")
                for host in runner.group("postgres")
            }
            assert not any(pending.values()), f"settings that need a restart: {pending}"
            returned = [
                role
                for role in ("postgres", "store", "cache")
                for host in runner.fleet.hosts
                if led_again(runner, role, host, begin)
            ]
            assert not returned, f"a former leader became the leader again: {returned}"
            yield figures

    return run


def restarts_only(units: set[str], fault: Fault) -> Fault:
    """Assert that a change restarts only these units, on every host that has them."""

    @contextmanager
    def run(runner: DrillRunner) -> Iterator[Figures | None]:
        before = processes(runner.fleet)
        with fault(runner) as figures:
            expected = {(host.name, unit) for unit in units for host in runner.group(unit)}
            assert restarted(before, processes(runner.fleet)) == expected
            yield figures

    return run


def reaches_users(header: str, value: str, fault: Fault) -> Fault:
    """Assert that users see a change of nginx, and that the load balancer with the virtual address loaded it last."""

    @contextmanager
    def run(runner: DrillRunner) -> Iterator[Figures | None]:
        leader = runner.leader("vip")
        with fault(runner) as figures:
            loaded = {
                host.name: float(runner.fleet.run(host, "stat -c %.3Y /run/nginx.loaded").stdout)
                for host in runner.group("loadbalancers")
            }
            assert max(loaded, key=loaded.__getitem__) == leader.name, loaded
            with visitor(runner.fleet) as client:
                assert value in client.get("/").headers[header]
            yield figures

    return run


def led_again(runner: DrillRunner, role: str, host: str, begin: float) -> bool:
    """Whether a host led, followed, and then led again. A leader that restarts in place does not follow in between."""
    values = [
        sample.value
        for sample in runner.observer.between(begin, time.time())
        if (sample.fact, sample.host) == (role, host)
    ]
    led = [is_leader(value) for value in values if value is not None]
    return [leading for leading, _ in groupby(led)] in ([True, False, True], [True, False, True, False])


def replaced(choose: Callable[[DrillRunner], Host]) -> Fault:
    """Remove, recreate and refill a host with the commands of docs/operations.md."""

    @contextmanager
    def run(runner: DrillRunner) -> Iterator[None]:
        host = choose(runner)
        removed = replace(runner.fleet, host)
        assert f"{host.name} is out of the fleet" in removed.output, removed.output[-3000:]
        recreate_host(runner.fleet, host)
        replace(runner.fleet, host).succeeded()
        yield

    return run


def follower(role: str, tier: str) -> Callable[[DrillRunner], Host]:
    """Return a function that chooses a host of a tier that does not lead."""
    return lambda runner: next(host for host in runner.group(tier) if host.name not in runner.leaders(role))


@contextmanager
def one_host_leads_redis(runner: DrillRunner) -> Iterator[None]:
    """Move both Redis masters to one host, so that the other host can be replaced."""
    (name,) = runner.leaders("store")
    if runner.leaders("cache") != {name}:
        options = ["-e", "switchover_of=cache", "-e", f"switchover_to={name}"]
        play(runner.fleet, "playbooks/switchover.yml", *options).succeeded()
    yield


NO_STORE_PAUSE = {"store_gap": 0.5, "store_lost": 0}
NO_FAILURES = {"read": 0.0, "write": 0.0, "session": 0.0}
SHORT_CANARY = {"deploy_canary_seconds": 5}
HSTS = "strict-transport-security"


def operation(name: str, fault: Fault, **options: Any) -> Drill:
    """Return a drill that ends a second after the operator's work."""
    return Drill(name, fault, hold_for(1), **options)


def changed(
    name: str, tags: str, write_gap: float, extra: Mapping[str, float] = NO_STORE_PAUSE, **variables: Any
) -> Drill:
    """Return a drill that runs site.yml with other variables."""
    return operation(name, change(tags, **variables), write_gap=write_gap, extra=extra)


CHANGES = [
    changed("more-connections", "postgres", write_gap=3, postgres_max_connections=210),
    # A smaller value must reach the primary first, so the primary restarts in place.
    changed("fewer-connections", "postgres", write_gap=5),
    changed("more-buffers", "postgres", write_gap=3, postgres_shared_buffers_mb=180),
    changed("default-buffers", "postgres", write_gap=3),
    changed("store-with-threads", "redis", write_gap=2, extra=SHORT_STORE_PAUSE, redis_store_config={"io-threads": 2}),
    changed(
        "store-without-threads", "redis", write_gap=2, extra=SHORT_STORE_PAUSE, redis_store_config={"io-threads": 1}
    ),
    changed("slower-heartbeats", "etcd", write_gap=1, etcd_heartbeat_interval=250),
    changed("default-heartbeats", "etcd", write_gap=1),
    changed("slower-advertisements", "nginx", write_gap=1.5, keepalived_advert_interval=0.3),
    changed("default-advertisements", "nginx", write_gap=1.5),
    operation(
        "fewer-threads-longer-hsts",
        restarts_only(
            {"app"},
            reaches_users(
                HSTS, "63072000", change("app,nginx", app_threads=6, nginx_hsts_max_age=63072000, **SHORT_CANARY)
            ),
        ),
        write_gap=1,
        failed=NO_FAILURES,
        extra=NO_STORE_PAUSE,
    ),
    operation(
        "default-threads-and-hsts",
        restarts_only({"app"}, reaches_users(HSTS, "31536000", change("app,nginx", **SHORT_CANARY))),
        write_gap=1,
        failed=NO_FAILURES,
        extra=NO_STORE_PAUSE,
    ),
]
REPLACEMENTS = [
    operation("standby-replaced-by-hand", replaced(lambda runner: runner.standby), write_gap=3, read_gap=2),
    operation(
        "redis-replica-replaced", replaced(follower("store", "redis")), write_gap=2, prepare=one_host_leads_redis
    ),
    operation("load-balancer-replaced", replaced(lambda runner: runner.leader("vip")), write_gap=1.5),
    operation(
        "app-host-replaced", replaced(lambda runner: runner.group("app")[0]), write_gap=1, failed=FEW_LOST_WRITES
    ),
]
