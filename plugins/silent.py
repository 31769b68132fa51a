"""Hosts that do not answer: without which of them a run cannot succeed."""

from collections.abc import Mapping, Sequence

from plugins import first_run

# A run cannot succeed if a quorum has no majority, or if all hosts with the data are down.
QUORUMS, DATA = ("etcd", "sentinel"), ("postgres", "redis")


def too_many_silent(silent: Mapping[str, str], probed: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why a run without the silent hosts cannot succeed."""
    failures = []
    if silent and len(silent) == len(probed):
        failures.append("No host answers; start one, or correct the connection variables.")
    for group in (*QUORUMS, *DATA) if not failures else ():
        hosts = groups.get(group, [])
        down = [host for host in hosts if host in silent]
        if down and (2 * len(down) >= len(hosts) if group in QUORUMS else len(down) == len(hosts)):
            missing = "majority" if group in QUORUMS else "host that answers"
            them = "it" if len(down) == 1 else "them"
            failures.append(
                f"Group {group} has no {missing} without {', '.join(down)}; start {them} first, "
                f"{first_run.ALLOW.format(them)}."
            )
    return [f"{sentence}." for sentence in silent.values()] + failures if failures else []
