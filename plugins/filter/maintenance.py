"""What role maintain makes of what hosts say: who is taken in which order, and what people are told."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Host = Mapping[str, Any]
INSTALL = re.compile(r"^Inst (?P<name>\S+) (?:\[(?P<old>[^]]+)\] )?\((?P<new>\S+)", re.MULTILINE)


def upgrades(simulated: str) -> list[str]:
    """What apt would install, of what it says when it only simulates."""
    return [f"{name} {old} → {new}" if old else f"{name} {new} (new)" for name, old, new in INSTALL.findall(simulated)]


def turns(hosts: Iterable[Host], order: Sequence[str], reboot: str) -> list[str]:
    """The hosts that have work to be done, in order."""
    waiting = {host["inventory_hostname"] for host in hosts if host["maintain_packages"] or rebooted(host, reboot)}
    return [name for name in order if name in waiting]


def rebooted(host: Host, reboot: str) -> bool:
    """Whether a host is rebooted whatever its upgrade brings."""
    return reboot == "always" or (reboot == "auto" and bool(host["maintain_needs"]))


def plan(hosts: Iterable[Host], order: Sequence[str], reboot: str) -> list[str]:
    """A line for each host: what is going to be done with it, and why."""
    lines = []
    for host in sorted(hosts, key=lambda host: order.index(host["inventory_hostname"])):
        needs = list(host["maintain_needs"])
        work = [f"upgrade {', '.join(packages)}"] if (packages := host["maintain_packages"]) else []
        if rebooted(host, reboot):
            work.append("reboot" + (f" ({'; '.join(needs)})" if needs else ""))
        elif needs:
            work.append(f"no reboot, although {'; '.join(needs)}")
        elif packages and reboot == "auto":
            work.append("reboot if the upgrade asks for it")
        lines.append(f"{host['inventory_hostname']}: {', then '.join(work) or 'nothing to do'}")
    return lines


def summary(hosts: Iterable[Host], taken: Sequence[str]) -> str:
    """How a run ended in which every host came back."""
    text = f"Maintained, one after another: {', '.join(taken)}." if taken else "No host had anything to be done."
    waiting = [
        f"{host['inventory_hostname']} ({'; '.join(needs)})" for host in hosts if (needs := host["maintain_needs"])
    ]
    return text + (f" A reboot is still needed by {', '.join(waiting)}." if waiting else "")


def stop(hosts: Sequence[Host], current: str, taken: Sequence[str], seen: Mapping[str, Any]) -> str:
    """Why a run ended early, in a paragraph: which host, what it failed at, what is missing now, and what to do."""
    done = [host["inventory_hostname"] for host in hosts if host.get("maintain_done")]
    waiting = [name for name in taken if name not in (*done, current)]
    away = current and current not in done
    if away:
        begin = (
            f"{current} has not come back from its maintenance, so the run has stopped there: {said(hosts, current)}."
        )
    elif done:
        begin = f"The run has stopped before {waiting[0] if waiting else 'its end'}: {said(hosts)}."
    else:
        begin = f"No host was taken out of service: {said(hosts)}."
    parts = [begin]
    if seen["missing"]:
        parts += [f"Missing now: {'; '.join(seen['missing'])}."] if away else []
        parts += [
            f"To mend it: {seen['first_step']}.",
            "Then run this again" + (f": it puts {current} back and goes on." if away else "."),
        ]
    elif away:
        parts.append(f"Nothing is missing by now. Run this again: it puts {current} back and goes on.")
    parts += [f"Done: {', '.join(done)}."] if done else []
    parts += [f"Not touched: {', '.join(waiting)}."] if away and waiting else []
    return " ".join(parts)


def said(hosts: Sequence[Host], current: str = "") -> str:
    """What the host that failed has said, and at which task unless its words are a sentence of ours."""
    failed = [host for host in hosts if "ansible_failed_result" in host]
    host = next((host for host in failed if host["inventory_hostname"] == current), failed[0] if failed else None)
    if host is None:
        return "it does not answer any more"
    task, words = (
        host["ansible_failed_task"],
        " ".join(str(host["ansible_failed_result"].get("msg", "")).split()).rstrip("."),
    )
    ours = task["action"].rpartition(".")[2] in ("assert", "fail")
    return words if ours else f'it failed at "{task["name"]}" with: {words or "no word"}'


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "maintain_upgrades": upgrades,
            "maintain_turns": turns,
            "maintain_plan": plan,
            "maintain_summary": summary,
            "maintain_stop": stop,
        }
