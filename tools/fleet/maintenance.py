"""Decisions for the maintenance of hosts one by one: the order, and the indispensable hosts."""

from collections.abc import Iterable

from tools.fleet.context import Host
from tools.fleet.table import sorted_by_tier
from tools.fleet.view import View, is_leader

LEADING = ("vip", "postgres", "cache", "store")
# Tiers that serve as long as one of their hosts does, and tiers that need a majority.
SERVING, VOTING = ("loadbalancers", "app", "postgres", "redis"), ("etcd", "sentinel")


def maintenance_order(hosts: Iterable[Host], view: View) -> list[str]:
    """Return the hosts in the order of maintenance: leaders come last, so that they switch over to finished hosts."""

    def leads(host: Host) -> bool:
        return any(is_leader(view.get(host.name, {}).get(role)) for role in LEADING)

    return [host.name for host in sorted(sorted_by_tier(hosts), key=leads)]


def indispensable(hosts: Iterable[Host]) -> dict[str, list[str]]:
    """Return the hosts without which a tier stops, each with these tiers."""
    fleet = list(hosts)
    found: dict[str, list[str]] = {}
    for tier in (*SERVING, *VOTING):
        names = [host.name for host in fleet if tier in host.groups]
        if len(names) == 1 or (tier in VOTING and len(names) == 2):
            for name in names:
                found.setdefault(name, []).append(tier)
    return found
