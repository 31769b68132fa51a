"""How each kind of trouble is detected: functions for the table in kinds.py.

Each yields the values for the kind's sentence, once for each instance. Some callers do not collect every fact (failed
units, drained hosts, Sentinels, releases). An absent fact is no trouble.
"""

import re
from collections.abc import Callable
from itertools import chain
from typing import Any

from tools.fleet.view import Detect, Facts, Instances, State, size, voters

# The alert PostgresReplicationLag fires at the same number of bytes.
MAX_LAG = 64 * 1024**2


def on_each(condition: Callable[[Facts], Any], *groups: str) -> Detect:
    """Detect the hosts that answer and whose facts fulfil a condition: those of these groups, or all."""
    return lambda state: ({"host": name} for name, facts in state.answering(*groups) if condition(facts))


def down(state: State) -> Instances:
    """Hosts that do not answer."""
    return ({"host": host.name} for host in state.hosts if not {"system", "refused"} & state.facts(host.name).keys())


def refused(state: State) -> Instances:
    """Hosts on which the probe cannot become root."""
    found = {host.name: state.facts(host.name).get("refused") for host in state.hosts}
    return ({"host": name, "reason": reason} for name, reason in found.items() if reason)


def not_started(state: State) -> Instances:
    """Hosts that have not started completely, for no other reason that systemd reports."""
    return (
        {"host": name, "state": facts["system"]}
        for name, facts in state.answering()
        if facts["system"] != "running" and not facts.get("failed")
    )


def names(fact: str) -> Detect:
    """Detect the hosts that report names of units."""
    return lambda state: (
        {"host": name, "units": ", ".join(facts[fact])} for name, facts in state.answering() if facts.get(fact)
    )


def full_disks(state: State) -> Instances:
    """Hosts with a file system that has no space or no inodes left, by `df`, which rounds up."""
    for name, facts in state.answering():
        lines = [line.split() for line in (facts.get("disks") or "").splitlines()]
        if full := [folder for folder, *used in lines if "100%" in used]:
            yield {"host": name, "folders": ", ".join(full)}


def stopped_units(state: State) -> Instances:
    """Units that do not run, although the host is in their group."""
    return ({"host": name, "unit": unit} for name, facts in state.answering() for unit in facts.get("stopped", []))


def restarts(state: State) -> Instances:
    """Services that systemd restarts again and again."""
    return (
        {"host": name, "unit": unit, "count": count}
        for name, facts in state.answering()
        for unit, count in (facts.get("restarts") or {}).items()
    )


def upgrades(state: State) -> Instances:
    """Upgrades that wait for a maintenance."""
    found = {name: packages for name, facts in state.answering() if (packages := facts.get("upgrades"))}
    if found:
        yield {"packages": ", ".join(sorted({*chain.from_iterable(found.values())})), "hosts": ", ".join(found)}


def leaders(number: str, service: str, *groups: str) -> Detect:
    """Detect a service with "no" leader or with "several"."""

    def detect(state: State) -> Instances:
        names = state.leaders(service, *groups)
        found = len(names) > 1 if number == "several" else bool(state.members(*groups) and not names)
        if found:
            yield {"instance": service, "count": len(names), "hosts": " and ".join(names)}

    return detect


def primary(state: State) -> tuple[str, Facts] | None:
    """Return the only primary and its facts."""
    names = state.leaders("postgres", "postgres")
    return (names[0], state.facts(names[0])) if len(names) == 1 else None


def not_streaming(state: State) -> Instances:
    """Standbys that answer and do not stream from the primary. Hosts that do not answer are reported already."""
    if found := primary(state):
        standbys = found[1]["postgres"]["standbys"]
        for name in state.members("postgres"):
            if name != found[0] and state.facts(name).get("postgres") and standbys.get(name, [""])[0] != "streaming":
                yield {"host": name}


def synchronous(state: State) -> list[str] | None:
    """Return the synchronous standbys, or None if there is no need for one."""
    found = primary(state)
    if found is None or len(state.members("postgres")) == 1 or found[1].get("synchronous_mode") is False:
        return None
    return [name for name, (_, sync, *_) in found[1]["postgres"]["standbys"].items() if sync in {"sync", "quorum"}]


def no_synchronous_standby(state: State) -> Instances:
    """A primary whose commits no standby confirms, although they should."""
    if synchronous(state) == []:
        yield {}


def not_promotable(state: State) -> Instances:
    """A synchronous standby that may not take over.

    The primary waits for a synchronous standby some seconds before Patroni lists it in etcd. If the primary dies in
    between, Patroni promotes nobody.
    """
    found, names = primary(state), synchronous(state)
    if found and names and "candidates" in found[1] and not set(names) & set(found[1]["candidates"] or []):
        yield {"host": names[0]}


def lagging(state: State) -> Instances:
    """Standbys that lag behind the primary."""
    if found := primary(state):
        for name, (*_, behind) in found[1]["postgres"]["standbys"].items():
            if isinstance(behind, int) and behind > MAX_LAG:
                yield {"host": name, "lag": size(behind)}


def bad_slots(state: State) -> Instances:
    """Replication slots that no longer keep what their standby needs."""
    if found := primary(state):
        for name, status in found[1]["postgres"].get("slots", {}).items():
            yield {"host": name, "status": status}


def unused_slots(state: State) -> Instances:
    """Replication slots that nobody uses, and that are not those of a member that is down."""
    names = {re.sub("[^a-z0-9]", "_", name.lower()) for name in state.members("postgres")}
    if found := primary(state):
        for slot in found[1]["postgres"].get("unused", []):
            if slot not in names:
                yield {"host": found[0], "slot": slot}


def former_patroni(state: State) -> Instances:
    """Members of Patroni that are not in the inventory."""
    known = {name for _, facts in state.answering("postgres") for name in facts.get("patroni_members", [])}
    return ({"host": name} for name in sorted(known - {*state.members("postgres")}))


def former(fact: str, *groups: str) -> Detect:
    """Detect addresses that a service still counts, although their hosts have left its groups."""

    def detect(state: State) -> Instances:
        known = {address for _, facts in state.answering(*groups) for address in facts.get(fact) or []}
        return ({"address": address} for address in sorted(known - state.addresses(*groups)))

    return detect


def patroni(fact: str) -> Detect:
    """Detect what a member of Patroni reports."""

    def detect(state: State) -> Instances:
        names = [name for name, facts in state.answering("postgres") if (facts.get("patroni") or {}).get(fact)]
        if names:
            yield {"hosts": ", ".join(names)}

    return detect


def votes(service: str, majority: bool) -> Detect:
    """Detect missing members of a quorum that still has a majority, or has none. A single member is a quorum too."""

    def detect(state: State) -> Instances:
        if service == "sentinel" and not any(service in facts for facts in state.view.values()):
            return
        names = state.members(service)
        voting = voters(service, names, state.view)
        if len(voting) == len(names) or (2 * len(voting) > len(names)) != majority:
            return
        leaderless = [name for name in names if state.facts(name).get(service) is False]
        silent = [name for name in names if name not in [*voting, *leaderless]]
        others = [f"{', '.join(leaderless)} without a leader"] if leaderless else []
        others += [f"not {', '.join(silent)}"] if silent else []
        yield {"count": len(voting), "all": len(names), "who": "; ".join(others)}

    return detect


def alarms(out_of_space: bool) -> Detect:
    """Detect etcd's alarm that it is out of space, or its other alarms."""

    def detect(state: State) -> Instances:
        found = {alarm for _, facts in state.answering("etcd") for alarm in facts.get("etcd_alarms", [])}
        return ({"alarm": alarm} for alarm in sorted(found) if (alarm == "NOSPACE") == out_of_space)

    return detect


def replicas(instance: str, *groups: str) -> Detect:
    """Detect a Redis without some of its replicas."""

    def detect(state: State) -> Instances:
        if len(masters := state.leaders(instance, *groups)) != 1:
            return
        followers = [name for name in state.members(*groups) if name not in masters]
        unlinked = [name for name in followers if not (state.facts(name).get(instance) or {}).get("linked")]
        linked = min(state.facts(masters[0])[instance]["replicas"], len(followers) - len(unlinked))
        if linked < len(followers):
            who = f" (not {', '.join(unlinked)})" if unlinked else ""
            yield {"instance": instance, "count": linked, "all": len(followers), "who": who}

    return detect


def damaged_stores(state: State) -> Instances:
    """Copies of the store that do not run, because their append-only file is damaged."""
    found = {
        name: facts["damaged_store"]
        for name, facts in state.answering("redis", "sentinel")
        if facts.get("damaged_store") and not facts.get("store")
    }
    if found:
        hosts = ", ".join(f"{name} ({size(note['lost'])} lost)" for name, note in found.items())
        intact = [name for name, facts in state.answering("redis", "sentinel") if facts.get("store")]
        best = min(found, key=lambda name: (found[name]["lost"], -found[name]["written"]))
        yield {"hosts": hosts, "host": [*state.leaders("store", "redis", "sentinel"), *intact, best][0]}


def both(detect: Callable[..., Detect]) -> Detect:
    """Detect a kind of trouble in cache and store. The store has a copy on every host with a Sentinel."""
    found = (detect("cache", "redis"), detect("store", "redis", "sentinel"))
    return lambda state: chain.from_iterable(one(state) for one in found)


def isolated_sentinels(state: State) -> Instances:
    """Sentinels that see fewer of the others than answer."""
    names = state.members("sentinel")
    voting = voters("sentinel", names, state.view)
    for name in voting:
        if (seen := state.facts(name)["sentinel"]) < len(voting):
            yield {"host": name, "count": seen, "all": len(names)}


def no_candidate(state: State) -> Instances:
    """Sentinels that would promote no replica.

    A replica that came back is linked some seconds before every Sentinel knows that it is healthy.
    """
    for name in voters("sentinel", state.members("sentinel"), state.view):
        for instance, count in (state.facts(name).get("promotable") or {}).items():
            if count == 0 and len(state.members("redis")) > 1:
                yield {"host": name, "instance": instance}
