"""Find variables that have no effect, or that only a part of the fleet would follow."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible.parsing.dataloader import DataLoader
from ansible.utils.vars import load_extra_vars

from plugins import settings
from plugins.control_node import ControlNodeAction
from plugins.values import shown


@dataclass(frozen=True)
class Source:
    """Variables from one place: a group in the inventory's own file, or a file of group_vars/all."""

    name: str
    values: Mapping[str, Any]
    # The file in which the variables would have an effect.
    better: Path
    # Files that an inventory links are shared by several inventories, so their user does not know them by heart.
    linked: bool = False


def sources(groups: Mapping[str, Mapping[str, Any]], folder: Path, loader: DataLoader) -> Iterator[Source]:
    """Yield the places of an inventory's variables in the order in which Ansible reads them.

    Args:
        groups: The variables of each group in the inventory's own file, or in Terraform's output.
        folder: The folder of the inventory.
        loader: Reads the files, also encrypted ones.
    """
    variables = folder / "group_vars"
    for group, values in groups.items():
        file = f"{group}/main.yml" if group == "all" or (variables / group).is_dir() else f"{group}.yml"
        yield Source(f"group {group} in the inventory's hosts file", values, variables / file)
    for file in loader.find_vars_files(str(variables), "all"):
        path = Path(file).resolve()
        values = loader.load_from_file(file, cache="vaulted") or {}
        linked = not path.is_relative_to(folder.resolve())
        yield Source(str(path), values, variables / "all" / "main.yml", linked)


def without_effect(ordered: Sequence[Source]) -> list[str]:
    """A sentence for each variable that a linked file overrides."""
    failures = []
    for number, source in enumerate(ordered, 1):
        for name, value in source.values.items() if not source.linked else ():
            later = [other for other in ordered[number:] if name in other.values]
            if later and later[-1].linked and later[-1].values[name] != value:
                failures.append(
                    f"{name} = {shown(name, value)} of {source.name} has no effect, because {later[-1].name} overrides "
                    f"it; move it to {source.better}."
                )
    return failures


def unread_files(folder: Path) -> list[str]:
    """A sentence for each file that Ansible does not read, because a folder has the same name."""
    return [
        f"{path} is not read, because the folder {path.with_suffix('')} exists; move the file into that folder."
        for kind in ("group_vars", "host_vars")
        for path in sorted((folder / kind).glob("*"))
        if path.suffix in (".yml", ".yaml", ".json") and path.with_suffix("").is_dir()
    ]


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        root = Path(self.arguments["root"])
        app_port = str(self.values(["app_port"]).get("app_port"))
        ports = settings.matrix(root, int(app_port) if app_port.isdecimal() else 0)
        defaults = settings.role_ports(root)
        failures = settings.wrong_role_ports(self.values(settings.PORTS), ports)
        failures += settings.taken_app_port(ports, defaults | self.values(defaults))
        failures += settings.wrong_matrix_ports(self.values(["fleet_ports"]).get("fleet_ports", []), ports)
        if not self.variables.get("inventory_dir"):
            return {"failures": failures}
        folder = Path(self.variables["inventory_dir"])
        main = folder / "group_vars" / "all" / "main.yml"
        failures += settings.given_for_one_run(load_extra_vars(self._loader), main)
        groups = {name: group.vars for name, group in self.variables["hostvars"]._inventory.groups.items()}
        found = list(sources(groups, folder, self._loader))
        return {"failures": failures + unread_files(folder) + without_effect(found)}
