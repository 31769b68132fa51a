"""What the probes reported about a fleet, and what a kind of trouble is."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tools.fleet.context import Host

Facts = Mapping[str, Any]
# The facts that each host's probe returned, by host name. A host without `system` did not answer. `refused` is why
# the probe could not become root.
View = Mapping[str, Facts]


class Drain(NamedTuple):
    """Why a host gets no requests. `where` is empty if all load balancers have drained it."""

    by: str
    when: str
    why: str
    where: str


class State(NamedTuple):
    """The hosts of a fleet, and what their probes reported."""

    hosts: list[Host]
    view: View

    def members(self, *groups: str) -> list[str]:
        """Return the hosts of these groups."""
        return [host.name for host in self.hosts if host.groups & {*groups}]

    def addresses(self, *groups: str) -> set[str]:
        """Return the addresses of the hosts of these groups."""
        return {host.address for host in self.hosts if host.groups & {*groups}}

    def facts(self, name: str) -> Facts:
        """Return the facts of a host. They are empty if it does not answer."""
        return self.view.get(name, {})

    def answering(self, *groups: str) -> Iterator[tuple[str, Facts]]:
        """Yield the hosts that answer with their facts: those of these groups, or all."""
        names = self.members(*groups) if groups else [host.name for host in self.hosts]
        return ((name, self.facts(name)) for name in names if "system" in self.facts(name))

    def leaders(self, service: str, *groups: str) -> list[str]:
        """Return the hosts of these groups that lead."""
        return [name for name in self.members(*groups) if is_leader(self.facts(name).get(service))]


Instances = Iterator[dict[str, Any]]
Detect = Callable[[State], Instances]


class Kind(NamedTuple):
    """One kind of trouble.

    Args:
        name: A short name, by which tests and the runbook refer to it.
        sentence: What `make status` prints. `detect` yields the values for the names in braces.
        detect: Yields the values for the sentence, once for each instance.
        step: What the reader does next: a command, or a section of the runbook.
        in_row: Whether the table shows it in the row of the host, too. Its sentence begins with the host.
        redundant: Whether the fleet is fully redundant nevertheless, so that maintenance may begin.
    """

    name: str
    sentence: str
    detect: Detect
    step: str
    in_row: bool = False
    redundant: bool = False


def is_leader(fact: Any) -> bool:
    """Whether a fact means that the host accepts writes, or has the virtual address."""
    return bool(fact and (fact.get("primary") or fact.get("master"))) if isinstance(fact, dict) else bool(fact)


def drained(view: View) -> dict[str, Drain]:
    """Return the drained hosts by name."""
    known = {balancer: facts["drained"] for balancer, facts in view.items() if facts.get("drained") is not None}
    found = {}
    for name, note in {name: note for notes in known.values() for name, note in notes.items()}.items():
        balancers = [balancer for balancer, notes in known.items() if name in notes]
        where = "" if len(balancers) == len(known) else f" on {', '.join(balancers)} only"
        found[name] = Drain(
            note.get("by") or "somebody", note.get("when") or "?", note.get("why") or "no reason given", where
        )
    return found


def voters(service: str, names: Iterable[str], view: View) -> list[str]:
    """Return the hosts that can vote: their etcd member knows a leader, or their Sentinel answers."""
    return [name for name in names if view.get(name, {}).get(service)]


def running_deploy(view: View) -> Facts:
    """Return the holder of the deploy lock. It is empty if there is none."""
    return next((facts["deploying"] for facts in view.values() if facts.get("deploying")), {})


def utc(seconds: float) -> str:
    """Format a time in seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def size(number: float | None) -> str:
    """Format a number of bytes."""
    if number is None:
        return "?"
    for unit in ("B", "KiB", "MiB"):
        if number < 1024:
            return f"{number:.0f} {unit}"
        number /= 1024
    return f"{number:.1f} GiB"
