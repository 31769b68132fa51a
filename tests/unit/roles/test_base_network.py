"""What the roles expect of a host's network: leases that are renewed, and more than one interface."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from ansible.template import Templar, trust_as_template

from tests.unit.roles.modules import read_yaml, render


def test_the_firewall_lets_renewals_of_leases_pass_from_any_server() -> None:
    rules = render("base", "nftables.conf.j2", base_firewall_rules=[])
    accepted = [line.split(" accept")[0].strip() for line in rules.splitlines() if " dport " in line]
    assert accepted == [
        "meta nfproto ipv4 udp sport 67 udp dport 68",
        "ip6 saddr fe80::/10 udp sport 547 udp dport 546",
    ]


@pytest.mark.parametrize(
    ("address", "interface"),
    [("10.0.0.11", "ens4"), ("203.0.113.7", "ens3"), ("10.9.9.9", "ens3")],
    ids=["the private one", "the public one", "an address that no interface has as its first"],
)
def test_the_virtual_address_is_on_the_interface_of_the_fleets_network(address: str, interface: str) -> None:
    facts: dict[str, Any] = {
        "default_ipv4": {"address": "203.0.113.7", "interface": "ens3"},
        "ens3": {"device": "ens3", "ipv4": {"address": "203.0.113.7"}},
        "ens4": {"device": "ens4", "ipv4": {"address": "10.0.0.11"}},
        "ens5": {"device": "ens5", "active": False},
        "all_ipv4_addresses": ["203.0.113.7", "10.0.0.11"],
        "hostname": "lb1",
    }
    default = read_yaml("roles/keepalived/defaults/main.yml")["keepalived_interface"]
    variables = {"ansible_facts": facts, "keepalived_address": address}
    assert Templar(None, variables).template(trust_as_template(default)) == interface


def test_cloud_init_keeps_the_names_of_the_other_hosts() -> None:
    files = {file["src"]: file["dest"] for file in read_yaml("roles/base/vars/main.yml")["__base_files"]}
    assert files["cloud.cfg.j2"].startswith("/etc/cloud/cloud.cfg.d/99-"), "later than the image's own files"
    assert yaml.safe_load(render("base", "cloud.cfg.j2")) == {"manage_etc_hosts": False}
