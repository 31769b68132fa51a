"""Hosts that do not answer: without which of them a run cannot succeed."""

from collections.abc import Mapping, Sequence

from plugins import first_run

# A run cannot succeed if a quorum has no majority, or if all hosts with the data are down.
QUORUMS, DATA = ("etcd", "sentinel"), ("postgres", "redis")


def too_many_silent(silent: Mapping[str, str], probed: Sequence[str], groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each reason why a run without the silent hosts cannot succeed."""
    failures = []
    if silent and len(silent) == len(probed):
        return [none_answers(silent)]
    for group in (*QUORUMS, *DATA):
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


def none_answers(silent: Mapping[str, str]) -> str:
    """Describe hosts that have one cause in common: all are stopped, or this machine does not reach them."""
    (host, sentence), others = next(iter(silent.items())), len(silent) - 1
    none = f"Nor does any of the other {others} hosts" if others > 1 else "Nor does the other host"
    none = none if others else "It is the only host"
    them, their = ("them", "their addresses") if others else ("it", "its address")
    return (
        f"{sentence}. {none} of this run. Start {them} (if `make up` created {them}, it also starts {them} again). If "
        f"{'they run' if others else 'it runs'}, `bin/fleet ssh {host}` shows what is in the way: ansible_host that is "
        f"not {their}, or a network that this machine does not reach (VPN, firewall, security group)."
    )
