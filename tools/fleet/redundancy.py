"""Computes what a fleet lacks until it is fully redundant. `make status` prints it, and failure drills wait for it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tools.fleet.context import Host

Facts = Mapping[str, Any]
# The facts that each host's probe returned, by host name. A host without `system` did not answer.
View = Mapping[str, Facts]


class Drain(NamedTuple):
    """Why a host gets no requests. `where` is empty if all load balancers have drained it."""

    by: str
    when: str
    why: str
    where: str


def missing(hosts: Iterable[Host], view: View) -> list[str]:
    """Return what keeps the fleet from full redundancy, one sentence each, causes before consequences.

    Some callers do not collect every fact (failed units, drained hosts, Sentinels, releases). An absent fact is no
    problem.
    """
    fleet = list(hosts)

    def members(*groups: str) -> list[str]:
        return [host.name for host in fleet if host.groups & {*groups}]

    answering = [host for host in fleet if "system" in view.get(host.name, {})]
    found = [f"{host.name} does not answer" for host in fleet if host not in answering]
    found += [f"{host.name} {problem}" for host in answering for problem in host_problems(host, view[host.name])]
    found += _postgres(members("postgres"), view)
    found += _votes("etcd", members("etcd"), view)
    found += _etcd_alarms(view)
    redis = members("redis")
    found += _redis("cache", redis, view)
    found += _redis("store", members("redis", "sentinel"), view)
    found += _sentinel(members("sentinel"), view, len(redis) > 1)
    found += _application(answering, view)
    return found + _front_door(members("loadbalancers"), view)


def host_problems(host: Host, facts: Facts) -> list[str]:
    """Return the problems of one host that answers. Each continues a sentence that begins with the host's name."""
    found = unit_problems(facts)
    if "postgres" in host.groups and not facts.get("postgres"):
        found.append("has a Postgres that does not answer")
    if facts.get("patroni", {}) is None:
        found.append("has a Patroni that does not answer")
    return found


def unit_problems(facts: Facts) -> list[str]:
    """Return the problems that systemd reports."""
    if failed := facts.get("failed"):
        found = [f"has failed units: {', '.join(failed)}"]
    else:
        found = [] if facts["system"] == "running" else [f"is {facts['system']}"]
    return found + [f"does not run {unit}" for unit in facts.get("stopped", [])]


def is_leader(fact: Any) -> bool:
    """Whether a fact means that the host accepts writes, or has the virtual address."""
    return bool(fact and (fact.get("primary") or fact.get("master"))) if isinstance(fact, dict) else bool(fact)


def drained(view: View) -> dict[str, Drain]:
    """Return the drained hosts by name."""
    known = {balancer: facts["drained"] for balancer, facts in view.items() if facts.get("drained") is not None}
    found = {}
    for name, note in {name: note for notes in known.values() for name, note in notes.items()}.items():
        balancers = [balancer for balancer, notes in known.items() if name in notes]
        where = "" if len(balancers) == len(known) else f" on {', '.join(balancers)} only"
        found[name] = Drain(
            note.get("by") or "somebody", note.get("when") or "?", note.get("why") or "no reason given", where
        )
    return found


def voters(service: str, names: Iterable[str], view: View) -> list[str]:
    """Return the hosts that can vote: their etcd member knows a leader, or their Sentinel answers."""
    return [name for name in names if view.get(name, {}).get(service)]


def _leaders(service: str, names: Iterable[str], view: View) -> list[str]:
    return [name for name in names if is_leader(view.get(name, {}).get(service))]


def _front_door(names: list[str], view: View) -> list[str]:
    if not names:
        return []
    found = []
    answering = [view[name] for name in names if "system" in view.get(name, {})]
    # Behind a cloud's load balancer there is no virtual address.
    if not answering or any("vip" in facts for facts in answering):
        holders = _leaders("vip", names, view)
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
    releases = "; ".join(f"{release} on {', '.join(names)}" for release, names in by_release.items())
    return found + ([f"releases differ ({releases})"] if len(by_release) > 1 else [])


def _votes(service: str, names: list[str], view: View) -> list[str]:
    """Check the members of a quorum. A single member is a quorum too."""
    if len(voting := voters(service, names, view)) == len(names):
        return []
    leaderless = [name for name in names if view.get(name, {}).get(service) is False]
    silent = [name for name in names if name not in [*voting, *leaderless]]
    others = [f"{', '.join(leaderless)} without a leader"] if leaderless else []
    others += [f"not {', '.join(silent)}"] if silent else []
    majority = "" if 2 * len(voting) > len(names) else ", which is no majority"
    return [f"{service} has {len(voting)} of {len(names)} votes{majority} ({'; '.join(others)})"]


def _etcd_alarms(view: View) -> list[str]:
    alarms = {alarm for facts in view.values() for alarm in facts.get("etcd_alarms", [])}
    meaning = {"NOSPACE": "etcd is out of space, so it refuses every write, and Postgres cannot fail over"}
    return [meaning.get(alarm, f"etcd has the alarm {alarm}") for alarm in sorted(alarms)]


def _sentinel(names: list[str], view: View, pairs: bool) -> list[str]:
    if not any("sentinel" in facts for facts in view.values()):
        return []
    voting = voters("sentinel", names, view)
    isolated = [
        f"{name} sees {view[name]['sentinel']} of {len(names)} Sentinels"
        for name in voting
        if view[name]["sentinel"] < len(voting)
    ]
    # A replica that came back is linked some seconds before every Sentinel knows that it is healthy.
    without = [
        f"{name} has a Sentinel that would promote no replica of {instance}"
        for name in voting
        for instance, count in (view[name].get("promotable") or {}).items()
        if pairs and count == 0
    ]
    return _votes("sentinel", names, view) + isolated + without


def _postgres(names: list[str], view: View) -> list[str]:
    if len(primaries := _leaders("postgres", names, view)) != 1:
        two = f"Postgres has {len(primaries)} primaries: {' and '.join(primaries)}"
        return [two if primaries else "Postgres has no primary"]
    standbys = view[primaries[0]]["postgres"]["standbys"]
    # Hosts that do not answer are already reported.
    followers = [name for name in names if name not in primaries and view.get(name, {}).get("postgres")]
    found = [f"{name} does not stream" for name in followers if standbys.get(name, [""])[0] != "streaming"]
    if len(names) > 1:
        found += _promotable(
            [name for name, (_, sync, *_) in standbys.items() if sync in {"sync", "quorum"}], view[primaries[0]]
        )
    slots = view[primaries[0]]["postgres"].get("slots", {})
    found += [f"{name} has a replication slot whose WAL is {status}" for name, status in slots.items()]
    patroni = [view.get(name, {}).get("patroni") or {} for name in names]
    if any(member.get("paused") for member in patroni):
        found.append("Patroni is paused")
    if any(member.get("failsafe") for member in patroni):
        found.append("Patroni runs without etcd (failsafe)")
    return found


def _promotable(synchronous: list[str], primary: Facts) -> list[str]:
    """Check that a standby can take over.

    The primary waits for a synchronous standby some seconds before Patroni lists it in etcd. If the primary dies in
    between, Patroni promotes nobody.
    """
    if not synchronous:
        return ["no standby is synchronous"]
    if "candidates" not in primary or set(synchronous) & set(primary["candidates"] or []):
        return []
    return [f"{synchronous[0]} may not be promoted yet (etcd does not list it as synchronous)"]


def _redis(instance: str, names: list[str], view: View) -> list[str]:
    if len(masters := _leaders(instance, names, view)) != 1:
        two = f"{instance} has {len(masters)} masters: {' and '.join(masters)}"
        return [two if masters else f"{instance} has no master"]
    followers = [name for name in names if name not in masters]
    unlinked = [name for name in followers if not (view.get(name, {}).get(instance) or {}).get("linked")]
    linked = min(view[masters[0]][instance]["replicas"], len(followers) - len(unlinked))
    if linked == len(followers):
        return []
    names_of_unlinked = f" (not {', '.join(unlinked)})" if unlinked else ""
    return [f"{instance} has {linked} of {len(followers)} replicas{names_of_unlinked}"]
