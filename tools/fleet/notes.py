"""What is no trouble, but should be known. `make status` and `make up` print one line for each."""

from collections.abc import Sequence

from tools.fleet.context import Host
from tools.fleet.view import View

NO_BACKUPS = "There are no backups, so a mistake cannot be undone: docs/backups.md#switch-them-on"
OWN_DISK = (
    "{host} keeps the backups of its database itself, so they are lost with it: add a bucket, docs/backups.md#a-bucket"
)


def notes(hosts: Sequence[Host], view: View) -> list[str]:
    """Return whether mistakes can be undone, and whether the loss of the only host loses the backups, too."""
    keepers = [host for host in hosts if "backup" in host.groups]
    if any("system" not in view.get(host.name, {}) for host in keepers):
        return []  # nobody knows what it has
    found = {host.name: view[host.name]["backups"] for host in keepers if "backups" in view[host.name]}
    if not found:
        return [NO_BACKUPS]
    (name, backups), *_ = found.items()
    alone = [host.name for host in hosts if "postgres" in host.groups] == [name]
    return [OWN_DISK.format(host=name)] if alone and backups["local"] == sorted(backups["last"]) else []
