"""What is missing until a fleet has all of its redundancy again: what `make status` says, and what failure drills wait for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tools.fleet.context import Host

Facts = Mapping[str, Any]
# What each host has said of itself, by name. A host without `system` is silent.
View = Mapping[str, Facts]


class Drain(NamedTuple):
    """Why a host gets no requests; `where` is empty unless some load balancers do not know."""

    by: str
    when: str
    why: str
    where: str


def missing(hosts: Iterable[Host], view: View) -> list[str]:
    """What keeps the fleet from being whole, one sentence each, causes before what follows from them.

    Facts that only one of the callers asks for (failed units, drained hosts, Sentinels, releases) are not missed where they are not there.
    """
    fleet = list(hosts)
    members: dict[str, list[str]] = {}
    for host in fleet:
        for group in host.groups:
            members.setdefault(group, []).append(host.name)
    answering = [host for host in fleet if "system" in view.get(host.name, {})]
    found = [f"{host.name} does not answer" for host in fleet if host not in answering]
    found += [f"{host.name} {problem}" for host in answering for problem in problems(host, view[host.name])]
    found += _postgres(members.get("postgres", []), view)
    found += _votes("etcd", members.get("etcd", []), view)
    redis = members.get("redis", [])
    found += _redis("cache", redis, view)
    found += _redis("store", [host.name for host in fleet if host.groups & {"redis", "sentinel"}], view)
    found += _sentinel(members.get("sentinel", []), view)
    found += _application(answering, view)
    return found + _front_door(members.get("loadbalancers", []), view)


def problems(host: Host, facts: Facts) -> list[str]:
    """What is wrong with a host that answers, by itself; each reads on after the host's name."""
    found = of_units(facts)
    if "postgres" in host.groups and not facts.get("postgres"):
        found.append("has a Postgres that does not answer")
    if facts.get("patroni", {}) is None:
        found.append("has a Patroni that does not answer")
    return found


def of_units(facts: Facts) -> list[str]:
    """The part of it that systemd tells."""
    if failed := facts.get("failed"):
        found = [f"has failed units: {', '.join(failed)}"]
    else:
        found = [] if facts["system"] == "running" else [f"is {facts['system']}"]
    return found + [f"does not run {unit}" for unit in facts.get("stopped", [])]


def leads(value: Any) -> bool:
    """Whether a fact says that a host takes writes, or has the virtual address."""
    return bool(value and (value.get("primary") or value.get("master"))) if isinstance(value, dict) else bool(value)


def drained(view: View) -> dict[str, Drain]:
    """Hosts that load balancers have been told to leave alone, by name."""
    known = {balancer: facts["drained"] for balancer, facts in view.items() if facts.get("drained") is not None}
    found = {}
    for name, note in {name: note for notes in known.values() for name, note in notes.items()}.items():
        told_to = [balancer for balancer, notes in known.items() if name in notes]
        where = "" if len(told_to) == len(known) else f" on {', '.join(told_to)} alone"
        found[name] = Drain(
            note.get("by") or "somebody", note.get("when") or "?", note.get("why") or "no reason given", where
        )
    return found


def voters(what: str, names: Iterable[str], view: View) -> list[str]:
    """The hosts whose vote counts: their member of etcd knows a leader, their Sentinel answers."""
    return [name for name in names if view.get(name, {}).get(what)]


def _leading(what: str, names: Iterable[str], view: View) -> list[str]:
    return [name for name in names if leads(view.get(name, {}).get(what))]


def _front_door(names: list[str], view: View) -> list[str]:
    if not names:
        return []
    found = []
    told = [view[name] for name in names if "system" in view.get(name, {})]
    # Where a cloud's balancer stands in front there is none.
    if not told or any("vip" in facts for facts in told):
        holders = _leading("vip", names, view)
        found = [] if len(holders) == 1 else [f"the virtual address is on {' and '.join(holders) or 'no host'}"]
    return found + [
        f"{name} is drained{drain.where} ({drain.by}: {drain.why})" for name, drain in drained(view).items()
    ]


def _application(hosts: Iterable[Host], view: View) -> list[str]:
    found: list[str] = []
    by_release: dict[str, list[str]] = {}
    for host in hosts:
        facts = view[host.name]
        if "app" in host.groups and not facts.get("app"):
            found.append(f"{host.name} has an application that is not ready")
        if facts.get("release"):
            by_release.setdefault(facts["release"], []).append(host.name)
        elif "release" in facts:
            found.append(f"{host.name} has no release")
    told = "; ".join(f"{release} on {', '.join(on)}" for release, on in by_release.items())
    return found + ([f"releases differ ({told})"] if len(by_release) > 1 else [])


def _votes(what: str, names: list[str], view: View) -> list[str]:
    """Members of a quorum; a single one is a quorum too."""
    if len(voting := voters(what, names, view)) == len(names):
        return []
    away = ", ".join(name for name in names if name not in voting)
    majority = "" if 2 * len(voting) > len(names) else ", which is no majority"
    return [f"{what} has {len(voting)} of {len(names)} votes{majority} (not {away})"]


def _sentinel(names: list[str], view: View) -> list[str]:
    if not any("sentinel" in facts for facts in view.values()):
        return []
    voting = voters("sentinel", names, view)
    alone = [
        f"{name} sees {view[name]['sentinel']} of {len(names)} Sentinels"
        for name in voting
        if view[name]["sentinel"] < len(voting)
    ]
    return _votes("sentinel", names, view) + alone


def _postgres(names: list[str], view: View) -> list[str]:
    if len(leading := _leading("postgres", names, view)) != 1:
        return [
            f"Postgres has {len(leading)} primaries: {' and '.join(leading)}" if leading else "Postgres has no primary"
        ]
    standbys = view[leading[0]]["postgres"]["standbys"]
    # Of those that do not answer something worse has been said.
    followers = [name for name in names if name not in leading and view.get(name, {}).get("postgres")]
    found = [f"{name} does not stream" for name in followers if standbys.get(name, [""])[0] != "streaming"]
    if len(names) > 1 and not any(sync in {"sync", "quorum"} for _, sync, *_ in standbys.values()):
        found.append("no standby is synchronous")
    patroni = [view.get(name, {}).get("patroni") or {} for name in names]
    if any(member.get("paused") for member in patroni):
        found.append("Patroni is paused")
    if any(member.get("failsafe") for member in patroni):
        found.append("Patroni goes on without etcd (failsafe)")
    return found


def _redis(instance: str, names: list[str], view: View) -> list[str]:
    if len(leading := _leading(instance, names, view)) != 1:
        return [
            f"{instance} has {len(leading)} masters: {' and '.join(leading)}"
            if leading
            else f"{instance} has no master"
        ]
    followers = [name for name in names if name not in leading]
    away = [name for name in followers if not (view.get(name, {}).get(instance) or {}).get("linked")]
    linked = min(view[leading[0]][instance]["replicas"], len(followers) - len(away))
    if linked == len(followers):
        return []
    return [f"{instance} has {linked} of {len(followers)} replicas" + (f" (not {', '.join(away)})" if away else "")]
