"""Filters that identify the current Ansible run and detect runs that died while they held a lock."""

from typing import Any

from tools.fleet.processes import abandoned, this_run


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """Return the filters by name."""
        return {"this_run": lambda _: this_run(), "abandoned": abandoned}
