"""The units of an application's processes and timers, and why one of them does not run."""

from collections.abc import Mapping
from typing import Any

from plugins import processes
from plugins.filter.cause import first_cause


def not_up(watched: Mapping[str, Any], host: str) -> str:
    """Describe the services that do not stay up, from the result of the module units_stay_up."""
    states = [f"{unit.removesuffix('.service')} on {host} {state}." for unit, state in watched["down"].items()]
    unit = next(iter(watched["down"]), "")
    log = f"Its log: {first_cause(watched['log'])}. `journalctl -u {unit} -n 50` on {host} shows more."
    return " ".join([*states, log])


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {
            "not_up": not_up,
            "process_queues": processes.queues,
            "process_timers": processes.timers_of,
            "processes_of": processes.processes_of,
            "unit_word": processes.quoted,
        }
