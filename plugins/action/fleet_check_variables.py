"""Check that the inventory has each required variable, and that its templates have values."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from plugins import templates
from plugins.action.fleet_check_settings import sources
from plugins.control_node import ControlNodeAction
from plugins.values import is_literal


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        root = Path(self.arguments["root"])
        folder = Path(self.variables.get("inventory_dir") or ".")
        files, shared_files = folder / "group_vars" / "all", root / "inventories" / "shared"
        failures = templates.not_set(self.variables, files, shared_files, self.arguments["reported"])
        reported = [*self.arguments["reported"], *failures]
        hostvars = self.variables["hostvars"]
        groups = {name: group.vars for name, group in hostvars._inventory.groups.items()}
        places = {name: source.name for source in sources(groups, folder, self._loader) for name in source.values}
        shared = {name for name, place in places.items() if Path(place).parent == shared_files.resolve()}
        later = names_in(root.glob("roles/*/defaults/main.yml")) | {*self.arguments["secrets"]}
        found: dict[str, None] = {}
        for number, host in enumerate(self.variables["ansible_play_hosts_all"]):
            variables = hostvars.raw_get(host) | {"hostvars": hostvars}
            # The templates of the shared files are the same for all hosts, and take time.
            names = [name for name in variables if name != "hostvars" and not (number and name in shared)]
            names = [name for name in names if not is_literal(variables[name])]
            broken = templates.broken(names, variables, self._value)
            known = templates.Known(variables, places, shared, later)
            found |= dict.fromkeys(templates.without_value(broken, known, files / "main.yml", reported))
        return {"failures": failures + list(found)}

    def _value(self, template: Any, variables: Mapping[str, Any]) -> Any:
        return self._templar.copy_with_new_env(available_variables=variables).template(template)


def names_in(files: Iterable[Path]) -> set[str]:
    """The variables in files of variables, without the time that a parser takes."""
    return {name for file in files for name in re.findall(r"^(\w+):", file.read_text(), re.MULTILINE)}
