"""Accept variables under a deprecated name, with a warning that gives the new one."""

from collections.abc import Iterable, Mapping
from typing import Any

from plugins.control_node import ControlNodeAction

Table = Iterable[Mapping[str, Any]]


def translate(table: Table, variables: Mapping[str, Any]) -> tuple[dict[str, Any], list[str], list[str]]:
    """Return the values of deprecated variables under their new names, the warnings, and the failures."""
    values, warnings, failures = {}, [], []
    for entry in table:
        old, new = entry["old"], entry["new"]
        if old not in variables:
            continue
        if new in variables:
            failures.append(f"{old} and {new} are both set, and {old} is only the deprecated name; remove {old}.")
            continue
        values[new] = entry.get("values", {}).get(variables[old], variables[old])
        renamed = "" if values[new] == variables[old] else f", with the value {values[new]} for {variables[old]}"
        warnings.append(
            f"{old} is deprecated since {entry['since']} and ignored from {entry['removed']} on; use {new}{renamed}."
        )
    return values, warnings, failures


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the values by host; the role sets them."""
        hosts = self.variables["ansible_play_hosts_all"]
        table, variables = self.arguments["table"], self.variables["hostvars"]
        results = {host: translate(table, variables[host]) for host in hosts}
        for warning in dict.fromkeys(warning for _, warnings, _ in results.values() for warning in warnings):
            self._display.warning(warning)
        failures = dict.fromkeys(failure for _, _, failures in results.values() for failure in failures)
        renamed = {host: values for host, (values, _, _) in results.items()}
        return {"renamed": renamed, "failed": bool(failures), "msg": " ".join(failures)}
