"""Ask every host of the fleet what it is now, also those that --limit leaves out, until nothing is missing or patience ends."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible import constants
from ansible.plugins.action import ActionBase

from plugins.action.fleet_check_hosts import connection, ssh_command
from tools.fleet.context import Host
from tools.fleet.redundancy import View, missing
from tools.fleet.status import CONNECT, SSH_OPTIONS, probe, settings
from tools.fleet.upkeep import first_step, indispensable, turns

# Groups that are no tier.
EVERYBODY = ("all", "ungrouped")


def members(groups: Mapping[str, list[str]], hostvars: Mapping[str, Any]) -> list[Host]:
    """The inventory's hosts as `make status` knows them."""
    return [
        Host(
            name,
            str(hostvars[name]["fleet_address"]),
            frozenset(g for g in groups if name in groups[g] and g not in EVERYBODY),
        )
        for name in groups["all"]
    ]


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible's entry point."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is missing, who is silent, and what follows for whoever wants to work on one host after another."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        hosts = members(variables["groups"], variables["hostvars"])
        ways = {host.name: self._way(variables["hostvars"][host.name], host.name) for host in hosts}
        deadline = time.monotonic() + float(self._task.args["patience"])
        while lacking := missing(hosts, view := self._look(hosts, ways)):
            if time.monotonic() > deadline:
                break
            time.sleep(1)
        return result | {
            "changed": False,
            "missing": lacking,
            "first_step": first_step(lacking),
            "silent": [host.name for host in hosts if not view[host.name]],
            "turns": turns(hosts, view),
            "indispensable": indispensable(hosts),
        }

    def _way(self, variables: Mapping[str, Any], name: str) -> list[str]:
        """The command that runs a shell's words on a host."""
        if variables.get("ansible_connection") == "local":
            return ["sh", "-c"]
        arguments = constants.config.get_config_value("ssh_args", plugin_type="connection", plugin_name="ssh") or ""
        user, key = self._play_context.remote_user or "", self._play_context.private_key_file or ""
        ssh, *rest = ssh_command(connection(name, variables), user, key, arguments, CONNECT)
        return [ssh, *SSH_OPTIONS, *rest]

    def _look(self, hosts: list[Host], ways: Mapping[str, list[str]]) -> View:
        """What every host says of itself, all asked at once."""
        vip, application = str(self._task.args["vip"]), dict(self._task.args["application"])
        with ThreadPoolExecutor(len(hosts)) as pool:
            facts = pool.map(lambda host: probe(ways[host.name], settings(host, vip, application)), hosts)
            return {host.name: seen for host, seen in zip(hosts, facts, strict=True)}
