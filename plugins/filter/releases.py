"""What the log of deploys says: which release serves, which are bad, where a rollback may go."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise, zip_longest
from typing import Any

Entry = Mapping[str, Any]


def done(log: Sequence[Entry]) -> list[str]:
    """The releases that were brought to the whole fleet, oldest first; the last one is what should serve."""
    return [entry["release"] for entry in log if entry["result"] == "done"]


def bad(log: Sequence[Entry]) -> dict[str, str]:
    """Releases that a deploy took back or that somebody rolled back, each with the reason. One that was deployed again since is good.

    Where the release served already, its settings alone were to change, and failed: that says nothing of the release.
    """
    found: dict[str, str] = {}
    for number, entry in enumerate(log):
        if entry["result"] == "reverted" and entry["action"] == "deploy":
            if entry["release"] not in done(log[:number])[-1:]:
                found[entry["release"]] = entry.get("why") or "its deploy failed"
        elif entry["result"] == "done":
            if entry["action"] == "rollback":
                found |= dict.fromkeys(entry.get("left", []), f"{entry['by']} rolled it back")
            found.pop(entry["release"], None)
    return found


def contracted(log: Sequence[Entry], release: str) -> Entry | None:
    """The first migration since a release last served that its code cannot live with."""
    last = max(
        (entry["when"] for entry in log if entry["result"] == "done" and entry["release"] == release), default=""
    )
    return next(
        (
            e
            for e in log
            if e["when"] > last and e.get("contract") and e["release"] != release and e["result"] == "migrated"
        ),
        None,
    )


def rollback_target(log: Sequence[Entry], current: Sequence[str], wanted: str = "") -> str:
    """The release to go back to: the one that is wanted, else the last good one that is not current; empty where there is none."""
    if wanted:
        return wanted
    refused = bad(log)
    # Hosts that differ are left from an interrupted run, and the last release that was brought to all is one of theirs.
    left = set(current) if len(set(current)) == 1 else set()
    return next((release for release in reversed(done(log)) if release not in left and release not in refused), "")


def rollback_refusal(log: Sequence[Entry], target: str, installed: Mapping[str, Sequence[str]]) -> str:
    """Why the fleet cannot go to a release, in a sentence; empty where it can."""
    if not target:
        return "The log has no earlier good release; name one that every host has with -e rollback_to (playbooks/releases.yml lists them)."
    if missing := [host for host, releases in installed.items() if target not in releases]:
        everywhere = sorted(set.intersection(*(set(releases) for releases in installed.values())))
        return f"{', '.join(missing)} does not have release {target}; every host has {', '.join(everywhere) or 'none in common'}."
    if reason := bad(log).get(target):
        return f"Release {target} was marked bad: {reason}; deploy its source again if it is good after all."
    if migration := contracted(log, target):
        return (
            f"Release {target} cannot live with today's schema: release {migration['release']} changed it on {migration['when']} "
            f"({'; '.join(migration['contract'])}); deploy a release that knows it."
        )
    return ""


def interrupted(log: Sequence[Entry]) -> list[Entry]:
    """Runs that began and never said how they ended."""
    ended = {entry["run"] for entry in log if entry["result"] not in ("begun", "migrated")}
    return [entry for entry in log if entry["result"] == "begun" and entry["run"] not in ended]


def before(found: Mapping[str, Mapping[str, Any]], log: Sequence[Entry]) -> dict[str, str]:
    """Where each host goes back to: the release that should serve, where the host has it, else its own current one."""
    should = done(log)[-1:]
    return {
        host: next((name for name in should if name in state["installed"]), state["current"])
        for host, state in found.items()
    }


def groups(stale: Sequence[str], apps: Sequence[str], batch: int, serving: bool) -> list[list[str]]:
    """Which hosts change together, in their order: the canary alone, then application hosts, beside them workers. Without a service all."""
    if not serving:
        return [list(stale)] if stale else []
    first, workers = ([host for host in stale if (host in apps) is web] for web in (True, False))
    none: list[str] = []
    beside = zip_longest(_batches(first[1:], batch), _batches(workers, batch), fillvalue=none)
    return [group for group in [first[:1], *(web + work for web, work in beside)] if group]


def _batches(hosts: list[str], size: int) -> list[list[str]]:
    return [hosts[start : start + size] for start in range(0, len(hosts), size)]


def phases(clock: Sequence[tuple[str, float | str]]) -> dict[str, float]:
    """How long each phase took that ended at a moment of the clock."""
    return {name: round(float(at) - float(since), 1) for (_, since), (name, at) in pairwise(clock)}


# A task that was delegated ended so: its result is of neither host.
WORDLESS = "A load balancer, or another host that was asked on the way, did not answer any more."


def failure(hosts: Sequence[Mapping[str, Any]], silent: Sequence[str] = ()) -> str:
    """What went wrong, in sentences: which host, which check, what it saw, where its log is. Where several say the same, one does.

    `silent` hosts have no result, since they do not answer.
    """
    told: dict[str, list[str]] = {}
    sentences: dict[str, str] = {}
    for host in hosts:
        name, task, result = host["inventory_hostname"], host["ansible_failed_task"], host["ansible_failed_result"]
        failed = [part for part in result.get("results", []) if part.get("failed")]
        said = " ".join(" ".join(map(_words, failed or [result])).split()) or "it said nothing"
        if task["action"].rpartition(".")[2] not in ("fail", "assert"):
            said = f'{name} failed at "{task["name"]}": {said.rstrip(".")}. `journalctl -u app -u celery-worker -n 50` there has more.'
        kind = re.sub(rf"\b{re.escape(name)}\b", "HOST", said)
        told.setdefault(kind, []).append(name)
        sentences.setdefault(kind, said)
    parts = [
        sentences[kind] + (f" The same on {', '.join(names[1:])}." if len(names) > 1 and "HOST" in kind else "")
        for kind, names in told.items()
    ]
    return " ".join([*parts, f"{', '.join(silent)} did not answer any more."] if silent else parts) or WORDLESS


def _words(result: Mapping[str, Any]) -> str:
    """What a result says, and of which item of a loop."""
    item = result.get("item")
    return (f"{item}: " if isinstance(item, str) else "") + str(result.get("msg", ""))


def report(log: Sequence[Entry], found: Mapping[str, Mapping[str, Any]], lock: Entry) -> list[str]:
    """Lines for people: the hosts, who deploys now, and the log, newest first."""
    refused = bad(log)
    lines = [
        f"{host} runs {state['current'] or 'nothing'}, has {', '.join(state['installed'])}"
        for host, state in found.items()
    ]
    lines += [f"bad: {release} ({why})" for release, why in refused.items()]
    if lock:
        lines.append(f"locked: {lock['action']} {lock['release']} by {lock['by']} since {lock['when']}")
    lost = [entry["run"] for entry in interrupted(log) if entry["run"] != lock.get("run")]
    for entry in reversed(log):
        if entry["result"] == "begun" and entry["run"] not in lost:
            continue
        end = "was interrupted" if entry["result"] == "begun" else entry["result"]
        more = (
            entry.get("why")
            or "; ".join(entry.get("contract", []))
            or (f"in {sum(entry['seconds'].values()):.0f} s" if "seconds" in entry else "")
        )
        lines.append(
            f"{entry['when']} {entry['action']} {entry['release']} by {entry['by']}: {end}{f' ({more})' if more else ''}"
        )
    return lines


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "releases_done": done,
            "releases_bad": bad,
            "rollback_target": rollback_target,
            "rollback_refusal": rollback_refusal,
            "deploys_interrupted": interrupted,
            "releases_before": before,
            "deploy_groups": groups,
            "deploy_phases": phases,
            "deploy_failure": failure,
            "deploy_report": report,
        }
