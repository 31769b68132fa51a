"""Turn the port matrix (``fleet_ports`` and ``fleet_extra_ports``) into the firewall rules of one host."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import ip_network
from typing import Any

from ansible.errors import AnsibleFilterError

DOCUMENTATION = """
name: firewall_rules
short_description: The firewall rules of one host, from the fleet's port matrix
description:
  - Keeps the entries whose P(to) names a group of the host. Replaces groups in P(from) by the addresses of their hosts.
positional: _input, host, groups, addresses
options:
  _input: {description: The port matrix, type: list, elements: dict, required: true}
  host: {description: Inventory name of the host, type: str, required: true}
  groups: {description: Group name to host names, type: dict, required: true}
  addresses: {description: Host name to address, type: dict, required: true}
  admin_networks: {description: Meaning of the word V(admin), type: list, elements: str, default: []}
  vip: {description: Virtual address of the load balancers, type: str, default: ""}
"""

EXAMPLES = """
rules: "{{ fleet_ports | firewall_rules(inventory_hostname, groups, fleet_addresses, fleet_admin_networks) }}"
"""

RETURN = """
_value:
  description: Entries with name, protocol, port (not for VRRP) and sources, which are networks or the word V(any).
  type: list
  elements: dict
"""


def firewall_rules(
    ports: Sequence[Mapping[str, Any]],
    host: str,
    groups: Mapping[str, Sequence[str]],
    addresses: Mapping[str, str],
    admin_networks: Sequence[str] = (),
    vip: str = "",
) -> list[dict[str, Any]]:
    """The rules of `host`: the allowed sources of each port that one of its groups offers.

    A host may always reach itself, so its own address is left out, and so is a rule without any other source.
    Packets from the load balancers may have the VIP as their source.

    Raises:
        AnsibleFilterError: a rule names an unknown group, or a source is not an address.
    """

    def expand(rule: Mapping[str, Any], word: str) -> Iterable[str]:
        if word == "admin":
            return admin_networks
        if word not in groups:
            raise AnsibleFilterError(
                f"fleet_ports or fleet_extra_ports: rule {rule['name']} names {word!r}, which is not a group of the "
                f"inventory; use a group, 'any' or 'admin'."
            )
        members = [addresses[name] for name in groups[word] if name != host]
        return [*members, vip] if word == "loadbalancers" and vip and host not in groups[word] else members

    rules = []
    for rule in ports:
        if not any(host in groups.get(group, ()) for group in rule["to"]):
            continue
        named = rule["from"]
        sources = (
            ["any"] if "any" in named else _merged(rule, [source for word in named for source in expand(rule, word)])
        )
        if sources:
            port = {"port": int(rule["port"])} if "port" in rule else {}
            rules.append({"name": rule["name"], "protocol": rule["protocol"], **port, "sources": sources})
    return rules


def _merged(rule: Mapping[str, Any], sources: Sequence[str]) -> list[str]:
    """Sorted networks, without those that are part of another one, since nftables rejects overlapping intervals."""
    try:
        networks: set[Any] = {ip_network(source, strict=False) for source in sources}
    except ValueError as error:
        raise AnsibleFilterError(
            f"fleet_ports or fleet_extra_ports: a source of rule {rule['name']} is not a network: {error}. "
            "Correct fleet_admin_networks, or the fleet_address of a host."
        ) from error
    kept = [
        n
        for n in networks
        if not any(n != other and n.version == other.version and n.subnet_of(other) for other in networks)
    ]
    kept.sort(key=lambda n: (n.version, n))
    return [str(n.network_address) if n.prefixlen == n.max_prefixlen else str(n) for n in kept]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """The filters of this file."""
        return {"firewall_rules": firewall_rules}
