"""Check the inventory: groups, quorums, addresses, the VIP, the port matrix, and the types of role variables."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from plugins import acme, arguments, processes
from plugins.backups import wrong_repositories
from plugins.control_node import ControlNodeAction
from plugins.filter.mail import mail_failure
from plugins.folders import FOLDERS, wrong_folders
from plugins.source import unreadable, wrong_source
from plugins.values import is_literal, specifications, wrong_values

TIERS = ("loadbalancers", "app", "postgres", "etcd", "redis", "sentinel", "monitoring")
# Groups that may be missing for wrong_ports: wrong_groups reports missing tiers, and not every application has workers.
OPTIONAL_GROUPS = (*TIERS, "workers")
QUORUMS = ("etcd", "sentinel")
SHARED = ("fleet_subnet", "fleet_vip", "fleet_admin_networks", "fleet_ports")
APPLICATION = (
    "app_source",
    "nginx_static_source",
    "app_celery_app",
    "app_migrate_command",
    "app_migrate_status_command",
    "app_migrate_sql_command",
    "app_mail_url",
    "app_requirements",
    "app_release_paths",
    "app_build_command",
    "app_extras",
    "app_extra_packages",
    "app_python",
)
# Files of role app in the same folder, or in the one of saved settings, where the command line tool is app_name.
RESERVED = ("env", "gunicorn.conf.py", "app.service", "app.socket")


def wrong_groups(groups: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence for each tier without hosts, and for each quorum with an even number of hosts."""
    failures = [
        f"Group {tier} {'has no host' if tier in groups else 'is not in the inventory'}; put at least one host into it."
        for tier in TIERS
        if not groups.get(tier)
    ]
    return failures + [
        f"Group {quorum} = {', '.join(groups[quorum])} has an even number of hosts, {len(groups[quorum])}. "
        f"It survives no more failures than with one host less, and splits more easily. Add a host or remove one."
        for quorum in QUORUMS
        if groups.get(quorum) and len(groups[quorum]) % 2 == 0
    ]


def wrong_addresses(addresses: Mapping[str, Any]) -> list[str]:
    """A sentence for each host whose fleet_address is missing, not an IPv4 address, or a duplicate."""
    failures = []
    hosts_at: defaultdict[str, list[str]] = defaultdict(list)
    for host, address in addresses.items():
        if address is None:
            failures.append(
                f"{host}: fleet_address is not set; set it beside the host in the inventory, such as "
                "fleet_address: 192.0.2.11, its private IPv4 address."
            )
        elif not _is_ipv4(address):
            failures.append(
                f"{host}: fleet_address = {address!r} is not an IPv4 address; set it to the host's private one."
            )
        else:
            hosts_at[str(address)].append(host)
    return failures + [
        f"fleet_address = {address} is set for {' and '.join(hosts)}; give each host an address of its own."
        for address, hosts in hosts_at.items()
        if len(hosts) > 1
    ]


def wrong_vip(vip: Any, subnet: Any, addresses: Mapping[str, Any]) -> list[str]:
    """A sentence if the virtual address cannot work. It may be empty, for a cloud with its own load balancer."""
    try:
        if not isinstance(subnet, str):
            raise ValueError("it is no text")
        network = ip_network(subnet)
    except ValueError as error:
        return [f"fleet_subnet = {subnet!r} is not a network ({error}); write it like 192.0.2.0/24."]
    if vip == "":
        return []
    if not _is_ipv4(vip):
        return [f"fleet_vip = {vip!r} is not an IPv4 address; set a free address of {subnet}, or '' for none."]
    if ip_address(vip) not in network or ip_address(vip) in (network.network_address, network.broadcast_address):
        return [f"fleet_vip = {vip} is not a host address of fleet_subnet = {subnet}; set a free one."]
    owners = " and ".join(host for host, address in addresses.items() if address == vip)
    return [f"fleet_vip = {vip} is the fleet_address of {owners}; set a free address of {subnet}."] if owners else []


def wrong_networks(networks: Any) -> list[str]:
    """A sentence if fleet_admin_networks is not a list of networks, or is empty."""
    if not isinstance(networks, list) or not networks:
        return [f"fleet_admin_networks = {networks!r} allows no logins; list your networks, like [198.51.100.7/32]."]
    failures = []
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            failures.append(
                f"fleet_admin_networks: {network!r} is not a network ({error}); write it like 198.51.100.7/32."
            )
    return failures


def wrong_ports(
    ports: Any, groups: Mapping[str, Sequence[str]], variable: str = "fleet_ports", taken: Sequence[str] = ()
) -> list[str]:
    """A sentence for each entry of the port matrix, or of fleet_extra_ports, that cannot become a firewall rule."""
    if not isinstance(ports, list):
        return [f"{variable} = {ports!r} is not a list; write it like the one in inventories/shared/ports.yml."]
    failures = []
    for number, rule in enumerate(ports, 1):
        where = f"{variable}, entry {number}" + (
            f" ({rule['name']})" if isinstance(rule, dict) and "name" in rule else ""
        )
        if not isinstance(rule, dict) or "name" not in rule:
            failures.append(
                f"{where}: {rule!r} has no name; write it like the entries of inventories/shared/ports.yml."
            )
            continue
        if rule["name"] in taken:
            failures.append(f"{where}: an entry of fleet_ports has this name already; choose another one.")
        protocol, port = rule.get("protocol"), rule.get("port")
        if port == 0 and rule["name"] == "app":
            continue  # app_port is no number: its type is checked
        if protocol not in ("tcp", "udp", "vrrp"):
            failures.append(f"{where}: protocol = {protocol!r} is unknown; use tcp, udp or vrrp.")
        elif protocol != "vrrp" and (isinstance(port, bool) or not isinstance(port, int) or not 0 < port < 65536):
            failures.append(f"{where}: port = {port!r} is not a port; use a number from 1 to 65535, without quotes.")
        for side, keywords in (("to", set()), ("from", {"any", "admin"})):
            named = rule.get(side)
            if not isinstance(named, list) or not named:
                failures.append(f"{where}: {side} = {named!r} is not a list of groups; write it like [app].")
                continue
            failures += [
                f"{where}: {side} names {group!r}, which is not a group of the inventory; "
                f"use a group{', any or admin' if keywords else ''}."
                for group in named
                if group not in keywords and group not in (*groups, *OPTIONAL_GROUPS, "backup")
            ]
    return failures


def wrong_application(settings: Mapping[str, Any], workers: Sequence[str]) -> list[str]:
    """A sentence for each mistake that role app would find only after the lower tiers are configured."""
    failures = []
    if source := settings.get("app_source"):
        failures += wrong_source(source, settings)
    static, celery, migrate, status, sql = map(settings.get, APPLICATION[1:6])
    # The folder of a built or fetched source does not exist yet.
    if static and Path(str(static)).is_absolute() and not Path(static).is_dir():
        failures.append(
            f"nginx_static_source = {static} is not a folder; set it to the folder of the static files, or remove it."
        )
    if celery and not workers:
        failures.append(
            f"app_celery_app = {celery} needs a worker, and group workers has no host; add one, or remove the variable."
        )
    if status and not migrate:
        failures.append(f"app_migrate_command is not set, although app_migrate_status_command = '{status}' is; set it.")
    if sql and "{current}" in sql and not status:
        failures.append(
            f"app_migrate_sql_command = '{sql}' needs the schema's revision; set app_migrate_status_command, which "
            "prints it, or remove the variable."
        )
    if failure := mail_failure(settings.get("app_mail_url") or ""):
        failures.append(failure)
    return failures


def wrong_file_names(names: Iterable[str], app_name: str) -> list[str]:
    """A sentence for each name of a configuration file that role app cannot use."""
    reserved = [*RESERVED, app_name]
    return [
        f"app_config_files names {name!r}; use the plain name of a file, other than {', '.join(reserved)}."
        for name in map(str, names)
        if name in reserved or not re.fullmatch(r"\w[\w.-]*", name)
    ]


def _is_ipv4(value: Any) -> bool:
    try:
        return isinstance(value, str) and ip_address(value).version == 4
    except ValueError:
        return False


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        hostvars, groups = self.variables["hostvars"], self.variables["groups"]
        addresses = self.of_hosts("fleet_address", groups["all"])
        shared = self.values(SHARED)

        failures = wrong_groups(groups) + wrong_addresses(addresses)
        if "fleet_vip" in shared and "fleet_subnet" in shared:
            failures += wrong_vip(shared["fleet_vip"], shared["fleet_subnet"], addresses)
        if "fleet_admin_networks" in shared:
            failures += wrong_networks(shared["fleet_admin_networks"])
        roles = specifications(Path(self.arguments["roles"]))
        application = self.values(APPLICATION)
        wrong = wrong_values(roles, application, failures)
        failures += wrong or wrong_application(application, groups.get("workers", []))
        # Only the names: on the first run, the secrets in the files do not exist yet.
        files = self.variables.get("app_config_files")
        app_name = str(self.values(["app_name"]).get("app_name", ""))
        failures += wrong_file_names(files if isinstance(files, Mapping) else (), app_name)
        if self.arguments["fetches_source"]:
            failures += unreadable(str(self.values(["app_source"]).get("app_source", "")))
        members = self.values(["app_members", "app_worker_members"]).values()
        names = dict.fromkeys(member["name"] for group in members for member in group)
        failures += wrong_folders(self.values(FOLDERS), list(names))
        repositories = self.values(["pgbackrest_repositories"]).get("pgbackrest_repositories")
        failures += wrong_repositories(repositories, groups.get("backup", []))
        failures += acme.wrong(self.values(acme.VARIABLES))
        failures += processes.wrong(self.values(processes.VARIABLES), groups)
        if "fleet_ports" in shared:
            failures += wrong_ports(shared["fleet_ports"], groups)
        for extra in self.values(["fleet_extra_ports"]).values():
            taken = [rule["name"] for rule in shared.get("fleet_ports", []) if "name" in rule]
            failures += wrong_ports(extra, groups, "fleet_extra_ports", taken)
        secrets = self.values(name for name in self.variables if name.startswith("vault_"))
        for warning in arguments.warnings(self.values(arguments.VARIABLES), secrets):
            self._display.warning(warning)

        # Only literal values are checked here. Ansible checks templated ones when their role runs.
        unique: dict[str, None] = {}
        for host in groups["all"]:
            literal = {name: value for name, value in hostvars.raw_get(host).items() if is_literal(value)}
            unique |= dict.fromkeys(wrong_values(roles, literal, failures))
        return {"failures": failures + list(unique)}
