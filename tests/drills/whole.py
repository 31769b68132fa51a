"""What is missing until a fleet has all of its redundancy again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tools.fleet.context import Host

View = Mapping[str, Mapping[str, Any]]


def missing(hosts: Iterable[Host], view: View) -> list[str]:
    """What keeps the fleet from being whole, one sentence each; `view` is what each host has said in the last seconds, by kind."""
    by_group: dict[str, list[str]] = {}
    for host in hosts:
        for group in host.groups:
            by_group.setdefault(group, []).append(host.name)
    everybody = sorted({name for names in by_group.values() for name in names})
    states = {name: view.get(name, {}).get("system", "silent") for name in everybody}
    found = [f"{name} is {state}" for name, state in states.items() if state != "running"]
    for group in ("app", "etcd"):
        found += [f"{group} on {name} is not healthy" for name in by_group.get(group, []) if not view.get(name, {}).get(group)]
    if (holders := sum(bool(view.get(name, {}).get("vip")) for name in by_group.get("loadbalancers", []))) != 1:
        found.append(f"{holders} hosts have the virtual address")
    found += _postgres(by_group.get("postgres", []), view)
    redis = by_group.get("redis", [])
    found += _redis("cache", redis, view)
    return found + _redis("store", sorted({*redis, *by_group.get("sentinel", [])}), view)


def leads(value: Any) -> bool:
    """Whether an observation says that a host takes writes, or has the virtual address."""
    return bool(value and (value.get("primary") or value.get("master"))) if isinstance(value, dict) else bool(value)


def _postgres(names: list[str], view: View) -> list[str]:
    if len(leading := [name for name in names if leads(view.get(name, {}).get("postgres"))]) != 1:
        return [f"{len(leading)} Postgres primaries"]
    standbys = view[leading[0]]["postgres"]["standbys"]
    found = [f"{name} does not stream" for name in names if name not in leading and standbys.get(name, [""])[0] != "streaming"]
    if len(names) > 1 and not any(sync in {"sync", "quorum"} for _, sync in standbys.values()):
        found.append("no standby is synchronous")
    return found


def _redis(instance: str, names: list[str], view: View) -> list[str]:
    if len(leading := [name for name in names if leads(view.get(name, {}).get(instance))]) != 1:
        return [f"{len(leading)} masters of {instance}"]
    replicas = view[leading[0]][instance]["replicas"]
    found = [] if replicas == len(names) - 1 else [f"the master of {instance} has {replicas} replicas"]
    followers = [name for name in names if name not in leading]
    return found + [f"{instance} on {name} has no link" for name in followers if not (view.get(name, {}).get(instance) or {}).get("linked")]
