"""How trouble with the application, its hosts' drains and its deploys is detected. See detect.py for the rest."""

import re
from http import HTTPStatus

from tools.fleet.processes import abandoned
from tools.fleet.view import Facts, Instances, State, drained, running_deploy

# The alert QueueLong fires at the same number of tasks.
MAX_QUEUE = 200


def timer_of(unit: str) -> str:
    """Return the timer of the application that a failed unit belongs to, or nothing."""
    return (re.fullmatch(r"app-timer-(.+)\.service", unit) or ["", ""])[1]


def failed_units(state: State) -> Instances:
    """Units that systemd no longer restarts, without the runs of the application's timers."""
    for name, facts in state.answering():
        if units := [unit for unit in facts.get("failed") or [] if not timer_of(unit)]:
            yield {"host": name, "units": ", ".join(units)}


def failed_timers(state: State) -> Instances:
    """Timers of the application whose last run failed. Other hosts start the next run as well, which clears it."""
    for name, facts in state.answering():
        failed = [unit for unit in facts.get("failed") or [] if timer_of(unit)]
        yield from ({"host": name, "timer": timer_of(unit), "unit": unit} for unit in failed)


def without_broker(state: State) -> Instances:
    """Workers that have no connection to the server of their queue."""
    return ({"host": name, "unit": unit} for name, facts in state.answering() for unit in facts.get("brokerless") or [])


def long_queues(state: State) -> Instances:
    """Queues in which many tasks wait."""
    found = {queue: count for _, facts in state.answering() for queue, count in (facts.get("queues") or {}).items()}
    return ({"queue": queue, "count": count} for queue, count in found.items() if count > MAX_QUEUE)


def releases(state: State) -> Instances:
    """Hosts that run different releases."""
    by_release: dict[str, list[str]] = {}
    for name, facts in state.answering():
        if facts.get("release"):
            by_release.setdefault(facts["release"], []).append(name)
    if len(by_release) > 1:
        yield {"releases": "; ".join(f"{release} on {', '.join(names)}" for release, names in by_release.items())}


def virtual_address(state: State) -> Instances:
    """A virtual address on no host or on several. Behind a cloud's load balancer there is none."""
    answering = [facts for _, facts in state.answering("loadbalancers")]
    if state.members("loadbalancers") and (not answering or any("vip" in facts for facts in answering)):
        holders = state.leaders("vip", "loadbalancers")
        if len(holders) != 1:
            yield {"hosts": " and ".join(holders) or "no host"}


def closed_proxies(state: State) -> Instances:
    """Hosts whose HAProxy leads to no server."""
    for name, facts in state.answering("app", "workers"):
        if facts.get("no_server"):
            yield {"host": name, "services": ", ".join(facts["no_server"])}


def drains(state: State) -> Instances:
    """Hosts that get no requests."""
    for name, drain in drained(state.view).items():
        yield {"host": name, "where": drain.where, "by": drain.by, "why": drain.why}


def missing_health_paths(state: State) -> Instances:
    """Health paths that the application does not have. An answer below 500 counts as ready, also this one."""
    for name, facts in state.answering("app"):
        path, status = facts.get("health") or ("", 0)
        if status == HTTPStatus.NOT_FOUND:
            yield {"host": name, "path": path}


def failing_front_pages(state: State) -> Instances:
    """Load balancers that answer users with an error of the server."""
    for name, facts in state.answering("loadbalancers"):
        if (status := facts.get("front_page") or 0) >= HTTPStatus.INTERNAL_SERVER_ERROR:
            yield {"host": name, "status": status}


def maintenance(state: State) -> Instances:
    """A maintenance page that users see instead of the site."""
    answering = dict(state.answering("loadbalancers"))
    notes = {name: note for name, facts in answering.items() if (note := facts.get("maintenance"))}
    if notes:
        note = next(iter(notes.values()))
        where = "" if len(notes) == len(answering) else f" of {', '.join(notes)} only"
        yield {"where": where} | {name: note.get(name, "?") for name in ("when", "by", "message")}


def dead_deploy(state: State) -> Instances:
    """A deploy or rollback that holds the lock, although it has died."""
    return (found for found in dead_runs(state) if found["action"] != "restore")


def dead_restore(state: State) -> Instances:
    """A restore that holds the lock, although it has died."""
    return (found for found in dead_runs(state) if found["action"] == "restore")


def dead_runs(state: State) -> Instances:
    """A run that holds the lock, although it has died."""
    if (lock := running_deploy(state.view)) and abandoned(lock.get("process") or {}):
        yield {"run": describe_deploy(lock), "action": lock["action"]}


def describe_deploy(lock: Facts) -> str:
    """Describe the holder of the deploy lock."""
    release = f" of {lock['release']}" if lock.get("release") else ""
    return f"the {lock['action']}{release} that {lock['by']} started at {lock['when']}"
