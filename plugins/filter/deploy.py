"""Plans a deploy or a rollback, and follows it host by host."""

from collections.abc import Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any

Host = Mapping[str, Any]
Plan = dict[str, Any]


def survey(
    hosts: Sequence[Host],
    apps: Sequence[str],
    served: str,
    bad: Mapping[str, str],
    drained: Mapping[str, Mapping[str, str]],
    batch: int,
) -> dict[str, Any]:
    """Compare the hosts of a run with the release that role app has prepared on them.

    Args:
        hosts: Variables of the run's hosts, with `app_prepared`, `processes_stale` and `app_found`.
        apps: Names of all hosts that serve requests.
        served: The last release that was deployed to the whole fleet; empty if there is none.
        bad: Releases that are marked bad, each with the reason.
        drained: Notes of the load balancers, by drained host.
        batch: Hosts that are switched at the same time.

    Returns:
        - `release`: the source's release.
        - `leftovers`: hosts that an interrupted run left drained and that have nothing to change.
        - `bad`: why the release is marked bad, empty if it is not.
        - `plan`: the plan of the run, empty if there is nothing to do.
    """
    prepared = {host["inventory_hostname"]: host["app_prepared"] for host in hosts}
    first = next(iter(prepared.values()))
    processes = {host["inventory_hostname"] for host in hosts if host.get("processes_stale")}
    stale = [name for name, state in prepared.items() if state["stale"] or name in processes]
    left = [name for name, note in drained.items() if note["by"] == "deploy"]
    # A drained host comes first, so that it serves again when the others are drained.
    order = [name for name in left if name in stale] + [name for name in stale if name not in left]
    plan = make_plan(hosts, first["release"], order, apps, served, batch)
    new = served != plan["release"]
    pending = first["migrate"] or (first["migrate_always"] and new)
    plan |= {"pending": pending, "migrate": pending or first["set_up"], "new": new}
    # Without another host that serves requests, there is nothing to compare the canary with.
    plan |= {"watch": plan["serving"] and bool({*apps}.difference(*plan["groups"][:1]))}
    # A run that was killed at its end has switched every host, but its result is not in the log.
    needed = stale or plan["migrate"] or new
    return {
        "release": plan["release"],
        "leftovers": [name for name in left if name in prepared and name not in stale],
        "bad": bad.get(plan["release"], ""),
        "plan": plan if needed else {},
    }


def rollback(hosts: Sequence[Host], release: str, apps: Sequence[str], served: str, batch: int) -> Plan:
    """The plan of a rollback: no migrations and no canary watch, because its release has served before."""
    names = [host["inventory_hostname"] for host in hosts]
    nothing = dict.fromkeys(("pending", "migrate", "new", "watch"), False)
    return make_plan(hosts, release, names, apps, served, batch) | nothing


def make_plan(
    hosts: Sequence[Host], release: str, order: Sequence[str], apps: Sequence[str], served: str, batch: int
) -> Plan:
    """The part that the plans of a deploy and of a rollback have in common."""
    before = {host["inventory_hostname"]: previous(host["app_found"], served) for host in hosts}
    serving = any(before.values())
    groups = host_groups(order, apps, batch, serving)
    return {"release": release, "hosts": list(before), "groups": groups, "before": before, "serving": serving}


def previous(found: Mapping[str, Any], served: str) -> str:
    """The release that a host goes back to: the last one deployed everywhere if the host has it, else its current one.

    After an interrupted run the current one may be the release that the run wanted to deploy.
    """
    return str(served if served in found["installed"] else found["current"])


def host_groups(hosts: Sequence[str], apps: Sequence[str], batch: int, serving: bool) -> list[list[str]]:
    """Hosts that change together, in their order: the canary, then application hosts and workers side by side.

    If nothing serves yet, all hosts are one group.
    """
    if not serving:
        return [list(hosts)] if hosts else []
    first, workers = ([host for host in hosts if (host in apps) is web] for web in (True, False))
    none: list[str] = []
    pairs = zip_longest(batches(first[1:], batch), batches(workers, batch), fillvalue=none)
    return [group for group in [first[:1], *(web + work for web, work in pairs)] if group]


def batches(hosts: list[str], size: int) -> list[list[str]]:
    """Hosts in groups of a size."""
    return [hosts[start : start + size] for start in range(0, len(hosts), size)]


def progress(hosts: Sequence[Host], plan: Mapping[str, Any], failure: str = "") -> dict[str, Any]:
    """How far a run has come, and its result once it has failed.

    Args:
        hosts: Variables of the plan's hosts, also of those that have failed.
        plan: The plan; empty if the run failed before it had one.
        failure: What went wrong; empty while the run goes forward.

    Returns:
        - `healthy`: hosts that were ready with the new release, or after a failure with their previous one.
        - `touched`: hosts that were switched, fully or not, and have a release to go back to.
        - `result`: for the log.
    """
    before = plan.get("before", {})
    direction = "back" if failure else "forward"
    begun = [host["inventory_hostname"] for host in hosts if "deploy_switched" in host]
    healthy = [host["inventory_hostname"] for host in hosts if host.get("deploy_switched") == direction]
    touched = [name for name in begun if before.get(name)]
    result = "reverted" if touched else "failed" if begun else "refused"
    return {"healthy": healthy, "touched": touched, "result": result}


def phases(clock: Sequence[tuple[str, float | str]]) -> dict[str, float]:
    """The seconds that each phase took, from the clock's pairs of a phase and the moment at which it ended."""
    return {name: round(float(at) - float(since), 1) for (_, since), (name, at) in pairwise(clock)}


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "deploy_survey": survey,
            "deploy_rollback": rollback,
            "deploy_groups": host_groups,
            "deploy_progress": progress,
            "deploy_phases": phases,
        }
