"""Decisions for the maintenance of hosts one by one: the order, the indispensable hosts, and advice for problems."""

import re
from collections.abc import Iterable

from tools.fleet.context import Host
from tools.fleet.redundancy import View, is_leader
from tools.fleet.table import sorted_by_tier

LEADING = ("vip", "postgres", "cache", "store")
# Tiers that serve as long as one of their hosts does, and tiers that need a majority.
SERVING, VOTING = ("loadbalancers", "app", "postgres", "redis"), ("etcd", "sentinel")
# The advice for each sentence of `missing`. {0} is its first word, which is usually a host.
STEPS = {
    r"does not answer$": "start {0}, or replace it (playbooks/replace.yml -e replace_host={0})",
    r"is drained": "ask the person who drained it, then undrain it (playbooks/drain.yml -e undrain={0})",
    r"failed units|does not run": "check `systemctl --failed` on {0}, then run `ansible-playbook site.yml --limit {0}`",
    r" is (starting|stopping|degraded|unresponsive)": "wait until {0} has started, or check its `systemctl list-jobs`",
    r"releases differ|has no release": "deploy one release to all hosts (playbooks/deploy.yml)",
    r"is paused$": "find out who paused it, then run `patronictl -c /etc/patroni/config.yml resume` on a database host",
    r"does not stream": "check `journalctl -u patroni` on {0}; playbooks/reinit.yml -e reinit_host={0} copies it again",
    r"may not be promoted": "wait some seconds; if it stays, check `journalctl -u patroni` on the primary",
    r"replication slot": "playbooks/reinit.yml -e reinit_host={0} replaces the slot and copies the standby again",
    r"out of space": 'free space in etcd: docs/operations.md, "EtcdOutOfSpace"',
    r"is not ready$": "check `journalctl -u app -n 50` on {0}",
}
DEFAULT_STEP = 'run `ansible-playbook site.yml`, and read docs/operations.md, "What each fault looks like"'


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


def first_step(problems: Iterable[str]) -> str:
    """Return the advice for the first of the sentences of `missing`. It is empty if there is none."""
    for sentence in problems:
        step = next((step for pattern, step in STEPS.items() if re.search(pattern, sentence)), DEFAULT_STEP)
        return step.format(sentence.split()[0])
    return ""
