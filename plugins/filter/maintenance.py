"""Plan a maintenance from the hosts' facts, and format its plan, its summary and its error."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from plugins.filter.verdict import message_of

Host = Mapping[str, Any]
INSTALL = re.compile(r"^Inst (?P<name>\S+) (?:\[(?P<old>[^]]+)\] )?\((?P<new>\S+)", re.MULTILINE)


def upgrades(simulated: str) -> list[str]:
    """The packages that apt would install, from the output of its simulation."""
    return [f"{name} {old} → {new}" if old else f"{name} {new} (new)" for name, old, new in INSTALL.findall(simulated)]


def queue(hosts: Iterable[Host], order: Sequence[str], reboot: str) -> list[str]:
    """The hosts that have work to do, in order."""
    waiting = {host["inventory_hostname"] for host in hosts if host["maintain_packages"] or rebooted(host, reboot)}
    return [name for name in order if name in waiting]


def rebooted(host: Host, reboot: str) -> bool:
    """Whether a host is rebooted, regardless of its upgrade."""
    return reboot == "always" or (reboot == "auto" and bool(host["maintain_needs"]))


def plan(hosts: Iterable[Host], order: Sequence[str], reboot: str) -> list[str]:
    """A line for each host: what will be done, and why."""
    lines = []
    for host in sorted(hosts, key=lambda host: order.index(host["inventory_hostname"])):
        needs = list(host["maintain_needs"])
        work = [f"upgrade {', '.join(packages)}"] if (packages := host["maintain_packages"]) else []
        if rebooted(host, reboot):
            work.append("reboot" + (f" ({'; '.join(needs)})" if needs else ""))
        elif needs:
            work.append(f"no reboot, although {'; '.join(needs)}")
        elif packages and reboot == "auto":
            work.append("reboot if the upgrade requires it")
        lines.append(f"{host['inventory_hostname']}: {', then '.join(work) or 'nothing to do'}")
    return lines


def summary(hosts: Iterable[Host], maintained: Sequence[str]) -> str:
    """The result of a run in which every host came back."""
    done = f"Maintained, one after another: {', '.join(maintained)}."
    text = done if maintained else "No host had any work to do."
    waiting = [
        f"{host['inventory_hostname']} ({'; '.join(needs)})" for host in hosts if (needs := host["maintain_needs"])
    ]
    return text + (f" Still to be rebooted: {', '.join(waiting)}." if waiting else "")


def stop(hosts: Sequence[Host], current: str, planned: Sequence[str], seen: Mapping[str, Any]) -> str:
    """Why a run ended early, in a paragraph: the host, its error, what is missing now, and what to do."""
    done = [host["inventory_hostname"] for host in hosts if host.get("maintain_done")]
    waiting = [name for name in planned if name not in (*done, current)]
    away = current and current not in done
    if away and not seen["missing"]:
        begin = f"The run stopped while {current} was in maintenance: {error(hosts, current)}."
    elif away:
        begin = f"{current} did not come back from its maintenance, so the run stopped: {error(hosts, current)}."
    elif done:
        begin = f"The run stopped before {waiting[0] if waiting else 'its end'}: {error(hosts)}."
    else:
        begin = f"No host was taken out of service: {error(hosts)}."
    parts = [begin]
    if seen["missing"]:
        parts += [f"Missing now: {'; '.join(seen['missing'])}."] if away else []
        parts += [
            f"To repair it: {seen['first_step']}.",
            "Then run this again" + (f": it puts {current} back and goes on." if away else "."),
        ]
    elif away:
        parts.append(f"Nothing is missing now: {current} is in service. Run this again: it goes on.")
    parts += [f"Done: {', '.join(done)}."] if done else []
    parts += [f"Not touched: {', '.join(waiting)}."] if away and waiting else []
    return " ".join(parts)


def error(hosts: Sequence[Host], current: str = "") -> str:
    """The failed host's error, prefixed with the task name unless it is this project's own message."""
    failed = [host for host in hosts if "ansible_failed_result" in host]
    host = next((host for host in failed if host["inventory_hostname"] == current), failed[0] if failed else None)
    if host is None:
        return "it did not answer any more"
    task = host["ansible_failed_task"]
    message = " ".join(message_of(host["ansible_failed_result"]).split()).rstrip(".")
    own = task["action"].rpartition(".")[2] in ("assert", "fail")
    return message if own else f'it failed at "{task["name"]}" with: {message or "no message"}'


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "maintain_upgrades": upgrades,
            "maintain_queue": queue,
            "maintain_plan": plan,
            "maintain_summary": summary,
            "maintain_stop": stop,
        }
