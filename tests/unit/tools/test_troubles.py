"""Every kind of trouble that `make status` reports."""

from typing import Any

import pytest

from tests.unit.tools.fleet_views import BACKED_UP, DEAD_DEPLOY, DEAD_RESTORE, HEALTHY, HOSTS, PATRONI, changed
from tools.fleet.context import Host
from tools.fleet.kinds import KINDS
from tools.fleet.troubles import missing, troubles
from tools.fleet.view import Kind, State, utc

# Facts that are not needed.
OPTIONAL = {
    "failed",
    "stopped",
    "drained",
    "release",
    "no_server",
    "beat",
    "patroni",
    "candidates",
    "sentinel",
    "etcd_leads",
}


REFUSED = {"site_certificate": {"since": 1, "error": "x"}}
ENDING = {"certificates": {"ends": [["/etc/fleet-tls/ca.pem", 1795000000.0, 0.0]], "now": 1794999999.0}}


def standby(state: str, sync: str, lag: int) -> dict[str, Any]:
    """Return the facts of a primary with one standby."""
    return {"postgres": {"primary": True, "standbys": {"db2": [state, sync, lag]}}}


@pytest.mark.parametrize(
    "absent",
    [set(), {"vip"}, OPTIONAL],
    ids=["none", "the virtual address, behind a cloud's load balancer", "most others"],
)
def test_a_healthy_fleet_has_no_problems_even_without_some_facts(absent: set[str]) -> None:
    view = {host: {fact: facts[fact] for fact in facts.keys() - absent} for host, facts in HEALTHY.items()}
    assert missing(HOSTS, view) == []


def test_a_single_host_in_every_group_has_no_problems() -> None:
    groups = frozenset(group for host in HOSTS for group in host.groups)
    master = {"master": True, "replicas": 0, "behind": {}}
    facts = (
        HEALTHY["lb1"]
        | HEALTHY["app1"]
        | HEALTHY["db1"]
        | {"postgres": {"primary": True, "standbys": {}}, "sentinel": 1}
    )
    assert missing([Host("node1", "", groups)], {"node1": facts | {"cache": master, "store": master}}) == []


# A kind of trouble, a host, the facts that it reports instead of the healthy ones (None: it does not answer), and the
# sentence.
CASES: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("host-down", "lb2", None, "lb2 does not answer"),
    (
        "root-refused",
        "mon1",
        {"refused": "sudo: a password is required"},
        "mon1 does not let its user become root: sudo: a password is required",
    ),
    (
        "disk-full",
        "mon1",
        {"disks": "Mounted on Use% IUse%\n/ 99% 3%\n/var 100% 3%\n/data 5% 100%\n/boot/efi 3% -"},
        "mon1 has a full disk: /var, /data",
    ),
    (
        "maintenance",
        "lb1",
        {"maintenance": {"by": "kim", "when": "14:00", "message": "Back soon."}},
        "users see the maintenance page of lb1 only since 14:00 (kim: Back soon.)",
    ),
    ("host-not-started", "app1", {"system": "starting"}, "app1 is starting"),
    (
        "unit-failed",
        "app1",
        {"system": "degraded", "failed": ["a.service", "b.timer"]},
        "app1 has failed units: a.service, b.timer",
    ),
    (
        "timer-failed",
        "worker1",
        {"system": "degraded", "failed": ["app-timer-report.service"]},
        "the last run of the timer report failed on worker1",
    ),
    (
        "worker-without-broker",
        "worker1",
        {"brokerless": ["celery-worker"]},
        "worker1 runs celery-worker, which has no connection to its broker",
    ),
    ("queue-long", "cache1", {"queues": {"celery": 201, "rq:queue:low": 200}}, "201 tasks wait in the queue celery"),
    ("unit-stopped", "lb2", {"stopped": ["keepalived"]}, "lb2 does not run keepalived"),
    ("out-of-memory", "app1", {"killed": ["app"]}, "app1 ran out of memory and killed a process of app"),
    ("restarting", "db1", {"restarts": {"patroni": 30}}, "db1 restarted patroni 30 times"),
    ("postgres-down", "db2", {"postgres": None}, "db2 has a Postgres that does not answer"),
    ("patroni-down", "db2", {"patroni": None}, "db2 has a Patroni that does not answer"),
    ("no-primary", "db1", {"postgres": {"primary": False, "standbys": {}}}, "Postgres has no primary"),
    (
        "two-primaries",
        "db2",
        {"postgres": {"primary": True, "standbys": {}}},
        "Postgres has 2 primaries: db1 and db2",
    ),
    ("standby-not-streaming", "db1", standby("catchup", "sync", 0), "db2 does not stream"),
    ("no-synchronous-standby", "db1", standby("streaming", "async", 0), "no standby is synchronous"),
    (
        "not-promotable-yet",
        "db1",
        {"candidates": []},
        "db2 may not be promoted yet (etcd does not list it as synchronous)",
    ),
    (
        "not-promotable-yet",
        "db1",
        {"candidates": None},
        "db2 may not be promoted yet (etcd does not list it as synchronous)",
    ),
    ("standby-lags", "db1", standby("streaming", "sync", 80 * 1024**2), "db2 is 80 MiB behind the primary"),
    (
        "slot-lost",
        "db1",
        {"postgres": HEALTHY["db1"]["postgres"] | {"slots": {"db2": "lost"}}},
        "db2 has a replication slot whose WAL is lost",
    ),
    (
        "slot-unused",
        "db1",
        {"postgres": HEALTHY["db1"]["postgres"] | {"unused": ["db2", "db9"]}},
        "db1 keeps WAL for the replication slot db9, which nobody uses",
    ),
    (
        "patroni-former-member",
        "db1",
        {"patroni_members": ["db1", "db2", "db9"]},
        "Patroni still has the member db9, which is not in the group postgres",
    ),
    ("patroni-paused", "db2", {"patroni": PATRONI | {"paused": True}}, "Patroni is paused"),
    ("failsafe", "db1", {"patroni": PATRONI | {"failsafe": True}}, "Patroni runs without etcd (failsafe)"),
    (
        "restart-pending",
        "db1",
        {"patroni": PATRONI | {"pending": True}},
        "Postgres has settings that need a restart on db1",
    ),
    ("etcd-vote-missing", "db2", {"etcd": None}, "etcd has 2 of 3 votes (not db2)"),
    ("etcd-vote-missing", "db2", {"etcd": False}, "etcd has 2 of 3 votes (db2 without a leader)"),
    (
        "etcd-out-of-space",
        "db2",
        {"etcd_alarms": ["NOSPACE"]},
        "etcd is out of space, so it refuses every write, and Postgres cannot fail over",
    ),
    ("etcd-alarm", "db2", {"etcd_alarms": ["CORRUPT"]}, "etcd has the alarm CORRUPT"),
    (
        "etcd-former-member",
        "db1",
        {"etcd_members": ["10.0.0.41", "10.0.0.42", "10.0.0.61", "10.0.0.49"]},
        "etcd still counts 10.0.0.49 as a member, which is not in the group etcd",
    ),
    (
        "sentinel-former-host",
        "cache2",
        {"sentinel_knows": ["10.0.0.51", "10.0.0.59", "10.0.0.61"]},
        "Sentinel still counts 10.0.0.59, which is in neither of the groups redis and sentinel",
    ),
    ("redis-no-master", "cache1", {"cache": None}, "cache has no master"),
    (
        "redis-two-masters",
        "cache2",
        {"cache": {"master": True, "replicas": 0}},
        "cache has 2 masters: cache1 and cache2",
    ),
    ("redis-replica-missing", "cache1", {"store": {"master": True, "replicas": 1}}, "store has 1 of 2 replicas"),
    (
        "redis-replica-missing",
        "mon1",
        {"store": {"master": False, "linked": False}},
        "store has 1 of 2 replicas (not mon1)",
    ),
    ("redis-replica-missing", "mon1", {"store": None}, "store has 1 of 2 replicas (not mon1)"),
    ("sentinel-vote-missing", "mon1", {"sentinel": None}, "sentinel has 2 of 3 votes (not mon1)"),
    ("sentinel-isolated", "mon1", {"sentinel": 1}, "mon1 sees 1 of 3 Sentinels"),
    (
        "sentinel-no-candidate",
        "mon1",
        {"promotable": {"cache": 1, "store": 0}},
        "mon1 has a Sentinel that would promote no replica of store",
    ),
    ("app-not-ready", "app1", {"app": None}, "app1 has an application that is not ready"),
    ("app-not-ready", "app1", {"app": False}, "app1 has an application that is not ready"),
    (
        "health-path-missing",
        "app1",
        {"health": ["/readyz", 404]},
        "app1 has no page /readyz (app_health_path), so it counts as ready as soon as gunicorn answers",
    ),
    ("front-page-fails", "lb2", {"front_page": 500}, "lb2 answers 500 at the front page of the site"),
    ("proxy-without-server", "app1", {"no_server": ["store"]}, "app1 has no connection to store"),
    ("no-release", "worker1", {"release": None}, "worker1 has no release"),
    ("releases-differ", "worker1", {"release": "r2"}, "releases differ (r1 on app1; r2 on worker1)"),
    ("virtual-address", "lb1", {"vip": False}, "the virtual address is on no host"),
    ("virtual-address", "lb2", {"vip": True}, "the virtual address is on lb1 and lb2"),
    ("drained", "lb2", {"drained": {"app1": {}}}, "app1 is drained on lb2 only (somebody: no reason given)"),
    (
        "outdated",
        "db2",
        {"outdated": ["patroni", "redis@store"]},
        "db2 runs an old version of patroni, redis@store, which an upgrade has replaced",
    ),
    (
        "upgrade-waiting",
        "db1",
        {"upgrades": ["patroni", "etcd-server"]},
        "upgrades of etcd-server, patroni wait on db1",
    ),
    (
        "backup-too-old",
        "mon1",
        {"backups": BACKED_UP | {"last": {"1": 1795000000.0, "2": 1795200000.0}, "now": 1795200000.0}},
        "mon1 has no backup in repository 1 since 2026-11-18 11:06:40 UTC",
    ),
    (
        "rehearsal-failed",
        "mon1",
        {"backups": BACKED_UP | {"restorable": {"1": 0.0}}},
        "mon1 could not restore repository 1 in the rehearsal of 2026-11-17 07:20:00 UTC",
    ),
    (
        "rehearsal-overdue",
        "mon1",
        {"backups": BACKED_UP | {"rehearsed": {"1": 0.0}, "rehearsal_due": {"1": 1795000000.0}}},
        "mon1 has not rehearsed a restore of repository 1 yet",
    ),
    (
        "rehearsal-overdue",
        "mon1",
        {"backups": BACKED_UP | {"rehearsed": {"1": 1794000000.0}, "rehearsal_due": {"1": 1794777600.0}}},
        "mon1 has not rehearsed a restore of repository 1 since 2026-11-06 21:20:00 UTC",
    ),
    (
        "verify-overdue",
        "mon1",
        {"backups": BACKED_UP | {"verify_due": {"1": 1795000000.0}}},
        "mon1 has not verified repository 1 since 2026-11-17 07:20:00 UTC",
    ),
    (
        "backup-damaged",
        "mon1",
        {"backups": BACKED_UP | {"intact": {"1": 0.0}}},
        "mon1 has damaged files in repository 1, as verify found on 2026-11-17 07:20:00 UTC",
    ),
    (
        "wal-not-archived",
        "db1",
        {"postgres": HEALTHY["db1"]["postgres"] | {"archiver": {"last": None, "failing": True, "now": 1795000000.0}}},
        "db1 has archived no WAL since the beginning",
    ),
    ("certificate-not-issued", "lb1", REFUSED, f"lb1 gets no certificate from the CA (x; since {utc(1)})"),
    ("certificate-expiring", "db1", ENDING, "the certificate in /etc/fleet-tls/ca.pem on db1 ends on 2026-11-18"),
    ("restore-died", "db1", {"deploying": DEAD_RESTORE}, "the restore that kim started at 06:00 has died"),
    ("deploy-died", "db1", {"deploying": DEAD_DEPLOY}, "the deploy of r2 that kim started at 06:00 has died"),
]
# Kinds that only exist together with another one, so they have a test of their own.
TOGETHER = {"etcd-quorum-lost", "sentinel-quorum-lost", "store-damaged"}


@pytest.mark.parametrize(("kind", "host", "facts", "sentence"), CASES, ids=[f"{c[0]}: {c[3]}" for c in CASES])
def test_each_kind_of_trouble_is_named(kind: str, host: str, facts: dict[str, Any] | None, sentence: str) -> None:
    found = troubles(HOSTS, changed(**{host: facts}))
    assert [(trouble.kind.name, trouble.sentence) for trouble in found] == [(kind, sentence)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_has_a_case_and_a_step_and_is_absent_from_a_healthy_fleet(kind: Kind) -> None:
    assert kind.name in {case[0] for case in CASES} | TOGETHER, "add a case to CASES"
    assert list(kind.detect(State(HOSTS, HEALTHY))) == []
    assert "{" not in kind.step.format(**dict.fromkeys(("host", "unit", "units"), "x"))
    assert not kind.step.endswith(".")
    assert kind.sentence.startswith("{host} ") or not kind.in_row


def test_without_synchronous_mode_no_standby_has_to_be_synchronous() -> None:
    view = changed(db1=standby("streaming", "async", 0) | {"synchronous_mode": False, "candidates": []})
    assert troubles(HOSTS, view) == []
