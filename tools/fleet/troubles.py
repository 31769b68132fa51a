"""Finds everything that is wrong with a fleet, for `make status`, for maintenance and for the failure drills."""

from collections.abc import Iterable
from typing import NamedTuple

from tools.fleet.context import Host
from tools.fleet.kinds import KINDS
from tools.fleet.view import Kind, State, View


class Trouble(NamedTuple):
    """One instance of a kind, in words."""

    kind: Kind
    sentence: str
    step: str
    host: str


def troubles(hosts: Iterable[Host], view: View) -> list[Trouble]:
    """Return everything that is wrong, causes before consequences."""
    state = State(list(hosts), view)
    return [
        Trouble(kind, kind.sentence.format(**values), kind.step.format(**values), values.get("host", ""))
        for kind in KINDS
        for values in kind.detect(state)
    ]


def redundant(found: Iterable[Trouble]) -> bool:
    """Whether a fleet with these troubles is fully redundant."""
    return all(trouble.kind.redundant for trouble in found)


def redundancy_troubles(hosts: Iterable[Host], view: View) -> list[Trouble]:
    """Return what keeps the fleet from full redundancy."""
    return [trouble for trouble in troubles(hosts, view) if not trouble.kind.redundant]


def missing(hosts: Iterable[Host], view: View) -> list[str]:
    """Return what keeps the fleet from full redundancy, one sentence each, causes before consequences."""
    return [trouble.sentence for trouble in redundancy_troubles(hosts, view)]
