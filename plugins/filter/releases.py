"""Reads the log of deploys: which release serves, which ones are bad, and where a rollback may go."""

from collections.abc import Mapping, Sequence
from typing import Any

Entry = Mapping[str, Any]
Host = Mapping[str, Any]


def done(log: Sequence[Entry]) -> list[str]:
    """Releases that were deployed to the whole fleet, oldest first. The last one should serve now."""
    return [entry["release"] for entry in log if entry["result"] == "done"]


def bad(log: Sequence[Entry]) -> dict[str, str]:
    """Releases that a deploy reverted or that somebody rolled back, each with the reason.

    A release that was deployed again since then is good. A failed deploy of the release that served already had changed
    only settings, so the release is not bad.
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


def breaking_migration(log: Sequence[Entry], release: str) -> Entry | None:
    """The first migration that broke compatibility with a release since the release last served."""
    last = max(
        (entry["when"] for entry in log if entry["result"] == "done" and entry["release"] == release), default=""
    )
    migrations = (entry for entry in log if entry["result"] == "migrated" and entry.get("contract"))
    return next((entry for entry in migrations if entry["when"] > last and entry["release"] != release), None)


def rollback_target(log: Sequence[Entry], hosts: Sequence[Host], wanted: str = "") -> str:
    """The release to roll back to: the wanted one, else the last good one that is not current, else empty."""
    if wanted:
        return wanted
    refused = bad(log)
    # After an interrupted run hosts differ, and the last release that was deployed everywhere is one of theirs.
    current = {host["app_found"]["current"] for host in hosts}
    left = current if len(current) == 1 else set()
    return next((release for release in reversed(done(log)) if release not in left and release not in refused), "")


def rollback_refusal(log: Sequence[Entry], target: str, hosts: Sequence[Host]) -> str:
    """Why the fleet cannot go back to a release, in a sentence. Empty if it can."""
    if not target:
        return (
            "The log has no earlier good release to roll back to. Choose one that every host has with -e rollback_to; "
            "playbooks/releases.yml lists them."
        )
    installed = {host["inventory_hostname"]: host["app_found"]["installed"] for host in hosts}
    if missing := [host for host, releases in installed.items() if target not in releases]:
        common = sorted(set.intersection(*map(set, installed.values())))
        choices = ", ".join(common) or "none in common"
        return f"{', '.join(missing)} does not have release {target}. Every host has {choices}."
    if reason := bad(log).get(target):
        return (
            f"Release {target} was marked bad: {reason.rstrip('.')}. If it is good after all, deploy its source again."
        )
    if migration := breaking_migration(log, target):
        return (
            f"Release {target} does not work with today's schema: release {migration['release']} changed it on "
            f"{migration['when']} ({'; '.join(migration['contract'])}). Deploy a release that works with it."
        )
    return ""


def interrupted(log: Sequence[Entry]) -> list[str]:
    """Runs that began and did not log a result."""
    ended = {entry["run"] for entry in log if entry["result"] not in ("begun", "migrated")}
    return [entry["run"] for entry in log if entry["result"] == "begun" and entry["run"] not in ended]


def report(log: Sequence[Entry], hosts: Sequence[Host], lock: Entry) -> list[str]:
    """Lines for an operator: hosts, bad releases, the holder of the lock, and the log with the newest entry first."""
    lines = []
    for host in hosts:
        found = host["app_found"]
        lines.append(
            f"{host['inventory_hostname']} runs {found['current'] or 'nothing'}, has {', '.join(found['installed'])}"
        )
    lines += [f"bad: {release} ({why})" for release, why in bad(log).items()]
    if lock:
        lines.append(f"locked: {lock['action']} {lock['release']} by {lock['by']} since {lock['when']}")
    lost = [run for run in interrupted(log) if run != lock.get("run")]
    for entry in reversed(log):
        if entry["result"] == "begun" and entry["run"] not in lost:
            continue
        end = "was interrupted" if entry["result"] == "begun" else entry["result"]
        more = entry.get("why") or "; ".join(entry.get("contract", []))
        if not more and "seconds" in entry:
            more = f"in {sum(entry['seconds'].values()):.0f} s"
        action = f"{entry['when']} {entry['action']} {entry['release']} by {entry['by']}"
        lines.append(f"{action}: {end}{f' ({more})' if more else ''}")
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
            "deploy_report": report,
        }
