"""What work on one host after another needs to know of a fleet: who goes when, who cannot be spared, what helps where it is not whole."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tools.fleet.context import Host
from tools.fleet.redundancy import View, leads
from tools.fleet.table import in_order

LEADING = ("vip", "postgres", "cache", "store")
# Tiers that serve as long as one host of theirs does, and those that need a majority.
SERVING, VOTING = ("loadbalancers", "app", "postgres", "redis"), ("etcd", "sentinel")
# What to do about a sentence of `missing`; {0} is its first word, a host in most.
STEPS = {
    r"does not answer$": "start {0}, or replace it (playbooks/replace.yml -e replace_host={0})",
    r"is drained": "put it back when whoever has drained it agrees (playbooks/drain.yml -e undrain={0})",
    r"failed units|does not run": "look at `systemctl --failed` on {0}, then run `ansible-playbook site.yml --limit {0}`",
    r" is (starting|stopping|degraded|unresponsive)": "wait until {0} has started, or look at `systemctl list-jobs` on it",
    r"releases differ|has no release": "bring all to one release (playbooks/deploy.yml)",
    r"is paused$": "ask who has paused it, then run `patronictl -c /etc/patroni/config.yml resume` on a database host",
    r"does not stream": "look at `journalctl -u patroni` on {0}; playbooks/reinit.yml -e reinit_host={0} copies it anew",
    r"is not ready$": "look at `journalctl -u app -n 50` on {0}",
}
OTHERWISE = 'run `ansible-playbook site.yml`, and look at docs/operations.md, "What each fault looks like"'


def turns(hosts: Iterable[Host], view: View) -> list[str]:
    """Hosts in the order in which they may be away one after another: leaders come last, and hand over to one that is done."""

    def has_a_role(host: Host) -> bool:
        return any(leads(view.get(host.name, {}).get(what)) for what in LEADING)

    return [host.name for host in sorted(in_order(hosts), key=has_a_role)]


def indispensable(hosts: Iterable[Host]) -> dict[str, list[str]]:
    """The tiers that would not do their work without a host, by host; those that nobody would miss are left out."""
    fleet = list(hosts)
    found: dict[str, list[str]] = {}
    for tier in (*SERVING, *VOTING):
        names = [host.name for host in fleet if tier in host.groups]
        if len(names) == 1 or (tier in VOTING and len(names) == 2):
            for name in names:
                found.setdefault(name, []).append(tier)
    return found


def first_step(lacking: Iterable[str]) -> str:
    """What helps against the first cause of what is missing; empty where nothing is."""
    for sentence in lacking:
        step = next((step for pattern, step in STEPS.items() if re.search(pattern, sentence)), OTHERWISE)
        return step.format(sentence.split()[0])
    return ""
