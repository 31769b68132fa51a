"""Check the inventory: groups, quorums, addresses, the VIP, the port matrix, and the types of all roles' variables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from ipaddress import ip_address, ip_network
from math import inf
from pathlib import Path
from typing import Any

import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase

TIERS = ("loadbalancers", "app", "postgres", "etcd", "redis", "sentinel", "monitoring")
# Of a tier that lacks is told once, not for every port; an application without Celery needs no workers.
MAY_LACK = (*TIERS, "workers")
QUORUMS = ("etcd", "sentinel")
REQUIRED = ("fleet_name", "fleet_domain", "fleet_subnet", "fleet_vip", "fleet_admin_networks", "fleet_ports")
APPLICATION = ("app_name", "app_source_dir", "app_module")
APPLICATION_OPTIONS = (
    "app_requirements",
    "nginx_static_source",
    "app_celery_app",
    "app_migrate_command",
    "app_migrate_status_command",
)
SECRET = ("password", "secret", "_key", "token", "certificate")
LONGEST = 60
# How a number's name ends → the least and the most that it may be. Any other is 0 at least: none of ours counts below.
BOUNDS = {"_port": (1, 65535), "_router_id": (1, 255)}


def wrong_groups(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each tier without hosts and each quorum that is even."""
    failures = [
        f"Group {tier} {'has no host' if tier in groups else 'is not in the inventory'}; put at least one host into it."
        for tier in TIERS
        if not groups.get(tier)
    ]
    return failures + [
        f"Group {quorum} = {', '.join(groups[quorum])} has an even number of hosts, {len(groups[quorum])}, which survives no more failures "
        f"and splits more easily; add one or take one out."
        for quorum in QUORUMS
        if groups.get(quorum) and len(groups[quorum]) % 2 == 0
    ]


def wrong_addresses(addresses: Mapping[str, Any]) -> list[str]:
    """A sentence for each host whose fleet_address is missing, no IPv4 address, or another host's too."""
    failures = []
    hosts_at: defaultdict[str, list[str]] = defaultdict(list)
    for host, address in addresses.items():
        if address is None:
            failures.append(f"{host} has no fleet_address; set it to the host's private IPv4 address.")
        elif not _is_ipv4(address):
            failures.append(
                f"{host}: fleet_address = {address!r} is no IPv4 address; set it to the host's private one."
            )
        else:
            hosts_at[str(address)].append(host)
    return failures + [
        f"fleet_address = {address} is set for {' and '.join(hosts)}; give each host its own."
        for address, hosts in hosts_at.items()
        if len(hosts) > 1
    ]


def wrong_vip(vip: Any, subnet: Any, addresses: Mapping[str, Any]) -> list[str]:
    """A sentence when the virtual address cannot be one. An empty one is right where a cloud balances."""
    try:
        network = ip_network(subnet)
    except ValueError as error:
        return [f"fleet_subnet = {subnet!r} is no network ({error}); write it like 192.0.2.0/24."]
    if vip == "":
        return []
    if not _is_ipv4(vip):
        return [
            f"fleet_vip = {vip!r} is no IPv4 address; set a free one of fleet_subnet = {subnet}, or '' where there is none."
        ]
    if ip_address(vip) not in network or ip_address(vip) in (network.network_address, network.broadcast_address):
        return [f"fleet_vip = {vip} is no host's address in fleet_subnet = {subnet}; set a free one of it."]
    owners = [host for host, address in addresses.items() if address == vip]
    return (
        [f"fleet_vip = {vip} is the fleet_address of {' and '.join(owners)}; set a free address of {subnet}."]
        if owners
        else []
    )


def wrong_networks(networks: Any) -> list[str]:
    """A sentence when fleet_admin_networks is no list of networks, or lets nobody in."""
    if not isinstance(networks, list) or not networks:
        return [
            f"fleet_admin_networks = {networks!r} lets nobody log in; list the networks that you work from, like [198.51.100.7/32]."
        ]
    failures = []
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            failures.append(
                f"fleet_admin_networks: {network!r} is no network ({error}); write it like 198.51.100.7/32."
            )
    return failures


def wrong_ports(ports: Any, groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each entry of the port matrix that no firewall rule can be made of."""
    if not isinstance(ports, list):
        return [f"fleet_ports = {ports!r} is no list; link inventories/shared into the inventory's group_vars/all."]
    failures = []
    for number, rule in enumerate(ports, 1):
        where = f"fleet_ports, entry {number}" + (
            f" ({rule['name']})" if isinstance(rule, dict) and "name" in rule else ""
        )
        if not isinstance(rule, dict) or "name" not in rule:
            failures.append(f"{where}: {rule!r} has no name; write it like the other entries.")
            continue
        protocol, port = rule.get("protocol"), rule.get("port")
        if protocol not in ("tcp", "udp", "vrrp"):
            failures.append(f"{where}: protocol = {protocol!r} is unknown; use tcp, udp or vrrp.")
        elif protocol != "vrrp" and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536):
            failures.append(f"{where}: port = {port!r} is no port; use a number from 1 to 65535, without quotes.")
        for side, words in (("to", set()), ("from", {"any", "admin"})):
            named = rule.get(side)
            if not isinstance(named, list) or not named:
                failures.append(f"{where}: {side} = {named!r} is no list of groups; write it like [app].")
                continue
            failures += [
                f"{where}: {side} names {word!r}, which is no group of the inventory; use a group{' or any, admin' if words else ''}."
                for word in named
                if word not in words and word not in groups and word not in MAY_LACK
            ]
    return failures


def wrong_application(settings: Mapping[str, Any], workers: Sequence[str]) -> list[str]:
    """A sentence for each thing that role app would stumble over only when the tiers below it stand."""
    failures = [
        f"{name} is not set; link or write group_vars/all/application.yml, see docs/your-application.md."
        for name in APPLICATION
        if not settings.get(name)
    ]
    source, lock, static = (
        settings.get(name) for name in ("app_source_dir", "app_requirements", "nginx_static_source")
    )
    if source and not Path(source, "pyproject.toml").is_file():
        failures.append(
            f"app_source_dir = {source} has no pyproject.toml; name the folder of the application's project."
        )
    elif source and not Path(lock := lock or f"{source}/requirements.txt").is_file():
        failures.append(
            f"app_requirements = {lock} is no file; name its lock file with hashes, or compile it (uv pip compile --generate-hashes)."
        )
    if static and not Path(static).is_dir():
        failures.append(
            f"nginx_static_source = {static} is no folder; name that of the application's static files, or none."
        )
    celery = settings.get("app_celery_app")
    if celery and not workers:
        failures.append(
            f"app_celery_app = {celery} and group workers has no host to run its tasks; put one into it, or leave the variable out."
        )
    migrate, status = (settings.get(name) for name in ("app_migrate_command", "app_migrate_status_command"))
    if bool(migrate) != bool(status):
        missing, given = ("app_migrate_status_command", migrate) if migrate else ("app_migrate_command", status)
        failures.append(f"{missing} is not set beside '{given}'; an application with migrations needs both commands.")
    return failures


def wrong_types(role: str, options: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any]) -> list[str]:
    """A sentence for each of `values` that is not what the role's argument_specs say."""
    failures = []
    for name, value in values.items():
        validated = ArgumentSpecValidator({name: {**options[name], "required": False}}).validate({name: value})
        shown = "…" if any(word in name for word in SECRET) else repr(value)
        shown = shown if len(shown) <= LONGEST else f"{shown[: LONGEST - 1]}…"
        failures += [
            f"{name} = {shown} does not fit role {role}: {message.rstrip('.')}; see roles/{role}/README.md."
            for message in validated.error_messages
        ]
        number = validated.validated_parameters.get(name)
        if isinstance(number, int | float) and not validated.error_messages:
            least, most = next((bounds for ending, bounds in BOUNDS.items() if name.endswith(ending)), (0, inf))
            if not least <= number <= most:
                allowed = f"from {least} to {most}" if most < inf else f"at least {least}"
                failures.append(
                    f"{name} = {shown} does not fit role {role}: it must be {allowed}; see roles/{role}/README.md."
                )
    return failures


def _is_ipv4(value: Any) -> bool:
    try:
        return isinstance(value, str) and ip_address(value).version == 4
    except ValueError:
        return False


def is_literal(value: Any) -> bool:
    """Whether a value is written out, rather than computed from others when its role runs."""
    if isinstance(value, dict):
        return all(is_literal(part) for part in value.values())
    if isinstance(value, list):
        return all(is_literal(part) for part in value)
    return not (isinstance(value, str) and ("{{" in value or "{%" in value))


def specifications(roles: Path) -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """Role → the options of its argument_specs."""
    return {
        path.parents[1].name: yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]
        for path in sorted(roles.glob("*/meta/argument_specs.yml"))
    }


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible's entry point."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        hostvars, groups = variables["hostvars"], variables["groups"]
        addresses = {host: self._templar.template(hostvars[host].get("fleet_address")) for host in groups["all"]}
        shared = {name: self._templar.template(variables[name]) for name in REQUIRED if name in variables}

        failures = [f"{name} is not set; see 'Your own hosts' in README.md." for name in REQUIRED if name not in shared]
        failures += wrong_groups(groups) + wrong_addresses(addresses)
        if "fleet_vip" in shared and "fleet_subnet" in shared:
            failures += wrong_vip(shared["fleet_vip"], shared["fleet_subnet"], addresses)
        if "fleet_admin_networks" in shared:
            failures += wrong_networks(shared["fleet_admin_networks"])
        settings = {
            name: self._templar.template(variables[name])
            for name in (*APPLICATION, *APPLICATION_OPTIONS)
            if name in variables
        }
        failures += wrong_application(settings, groups.get("workers", []))
        if "fleet_ports" in shared:
            failures += wrong_ports(shared["fleet_ports"], groups)

        # What is computed is checked when its role runs; what a person wrote out is checked here, each value once for all hosts.
        roles = specifications(Path(self._task.args["roles"]))
        seen: dict[str, None] = {}
        for host in groups["all"]:
            written = {name: value for name, value in hostvars.raw_get(host).items() if is_literal(value)}
            for role, options in roles.items():
                seen |= dict.fromkeys(
                    wrong_types(role, options, {name: written[name] for name in options if name in written})
                )
        return result | {"failures": failures + list(seen)}
