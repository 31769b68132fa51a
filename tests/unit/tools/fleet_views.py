"""A small fleet, and the facts that the probes return if everything is healthy."""

from typing import Any

from tools.fleet.context import Host
from tools.fleet.processes import this_run

HOSTS = [
    Host("lb1", "10.0.0.11", frozenset({"loadbalancers"})),
    Host("lb2", "10.0.0.12", frozenset({"loadbalancers"})),
    Host("app1", "10.0.0.21", frozenset({"app"})),
    Host("worker1", "10.0.0.31", frozenset({"workers"})),
    Host("db1", "10.0.0.41", frozenset({"postgres", "etcd"})),
    Host("db2", "10.0.0.42", frozenset({"postgres", "etcd"})),
    Host("cache1", "10.0.0.51", frozenset({"redis", "sentinel"})),
    Host("cache2", "10.0.0.52", frozenset({"redis", "sentinel"})),
    Host("mon1", "10.0.0.61", frozenset({"monitoring", "sentinel", "etcd", "backup"})),
]

# The note of a drained host.
NOTE = {"by": "kim", "when": "2026-11-23T06:00:00Z", "why": "new disk"}
RUNNING = {"system": "running", "failed": [], "stopped": []}
LINKED_REPLICA = {"master": False, "linked": True}
PATRONI = {"state": "running", "paused": False, "failsafe": False}
# The facts of backups, which not every fleet has.
BACKED_UP: dict[str, Any] = {
    "last": {"1": 1795000000.0},
    "local": ["1"],
    "limit": 108000.0,
    "rehearsed": {"1": 1794900000.0},
    "restorable": {"1": 1.0},
    "rehearsal_due": {"1": 1795677600.0},
    "verified": {"1": 1794900000.0},
    "intact": {"1": 1.0},
    "verify_due": {"1": 1797900000.0},
    "now": 1795000100.0,
}
HEALTHY: dict[str, dict[str, Any]] = {
    "lb1": RUNNING | {"vip": True, "drained": {}, "front_page": 302},
    "lb2": RUNNING | {"vip": False, "drained": {}, "front_page": 302},
    "app1": RUNNING | {"app": True, "health": ["/login", 401], "release": "r1", "no_server": []},
    "worker1": RUNNING | {"release": "r1", "beat": True},
    "db1": RUNNING
    | {"etcd": True, "etcd_leads": False, "patroni": PATRONI}
    | {"postgres": {"primary": True, "standbys": {"db2": ["streaming", "sync", 2048]}}, "candidates": ["db2"]},
    "db2": RUNNING
    | {"etcd": True, "etcd_leads": True, "patroni": PATRONI, "postgres": {"primary": False, "standbys": {}}}
    | {"candidates": ["db2"]},
    "cache1": RUNNING
    | {"sentinel": 3, "cache": {"master": True, "replicas": 1, "behind": {"10.0.0.52": 0}}}
    | {"store": {"master": True, "replicas": 2, "behind": {"10.0.0.52": 0, "10.0.0.61": 3 * 1024**2}}},
    "cache2": RUNNING | {"sentinel": 3, "cache": LINKED_REPLICA, "store": LINKED_REPLICA},
    "mon1": RUNNING | {"sentinel": 3, "etcd": True, "etcd_leads": False, "store": LINKED_REPLICA},
}


def changed(**changes: dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Return the healthy facts with some changed. A host that is None does not answer."""
    return {
        name: {} if name in changes and changes[name] is None else facts | (changes.get(name) or {})
        for name, facts in HEALTHY.items()
    }


DEAD_DEPLOY = {
    "action": "deploy",
    "release": "r2",
    "by": "kim",
    "when": "06:00",
    "process": this_run() | {"started": "1"},
}
DEAD_RESTORE = DEAD_DEPLOY | {"action": "restore", "release": ""}
