"""The firewall rules of each host from the port matrix, and the nftables template."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError
from ansible.template import Templar, trust_as_template

from plugins.filter.firewall import firewall_rules
from tests.unit.roles.modules import port_matrix, read_yaml, render

MATRIX = port_matrix()
GROUPS = {
    "all": ["lb1", "lb2", "app1", "worker1", "db1", "db2", "cache1", "mon1"],
    "loadbalancers": ["lb1", "lb2"],
    "app": ["app1"],
    "workers": ["worker1"],
    "postgres": ["db1", "db2"],
    "etcd": ["db1", "db2", "mon1"],
    "redis": ["cache1"],
    "sentinel": ["cache1", "mon1", "db1"],
    "monitoring": ["mon1"],
    "backup": ["mon1"],
}
ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate(GROUPS["all"], 11)}
ADMIN = ["198.51.100.0/24"]


def rules(host: str, matrix: list[dict[str, Any]] = MATRIX, **more: Any) -> dict[str, dict[str, Any]]:
    """Return the rules of `host` by name."""
    given: dict[str, Any] = {"groups": GROUPS, "addresses": ADDRESSES, "admin_networks": ADMIN} | more
    return {rule["name"]: rule for rule in firewall_rules(matrix, host, **given)}


def test_a_host_opens_only_the_ports_of_its_own_tiers() -> None:
    assert set(rules("app1")) == {"ssh", "node-exporter", "app", "app-tls", "haproxy-metrics"}
    assert "postgres" not in rules("mon1")


@pytest.mark.parametrize(
    ("host", "name", "sources"),
    [
        ("db1", "postgres", [ADDRESSES[name] for name in ("app1", "worker1", "db2")]),
        ("db1", "node-exporter", [ADDRESSES["mon1"]]),
        ("lb1", "https", ["any"]),
        *((host, "ssh", ADMIN) for host in GROUPS["all"]),
    ],
)
def test_a_port_is_open_only_to_those_that_need_it(host: str, name: str, sources: list[str]) -> None:
    assert rules(host)[name]["sources"] == sources


def test_vrrp_has_no_port_and_passes_between_load_balancers() -> None:
    assert rules("lb1")["vrrp"] == {"name": "vrrp", "protocol": "vrrp", "sources": [ADDRESSES["lb2"]]}


def test_traffic_from_the_load_balancers_may_have_the_vip_as_source() -> None:
    assert "10.0.0.5" in rules("app1", vip="10.0.0.5")["app"]["sources"]
    assert "10.0.0.5" not in rules("lb1", vip="10.0.0.5")["vrrp"]["sources"]


def test_a_single_host_opens_only_ssh_the_site_and_the_consoles() -> None:
    groups = {group: ["node1"] for group in GROUPS}
    found = rules("node1", groups=groups, addresses={"node1": "10.0.0.11"}, vip="10.0.0.5")
    assert set(found) == {"ssh", "http", "https", "prometheus", "alertmanager", "grafana"}


def test_an_inventory_adds_ports_without_a_copy_of_the_matrix() -> None:
    extra = {"name": "relay", "port": 2525, "protocol": "tcp", "to": ["monitoring"], "from": ["app"]}
    shared = read_yaml("inventories/shared/topology.yml")
    fleet: dict[str, Any] = {"fleet_ports": MATRIX, "fleet_addresses": ADDRESSES, "fleet_admin_networks": ADMIN}
    host = {"inventory_hostname": "mon1", "groups": GROUPS, "fleet_vip": "10.0.0.5", "fleet_backed_up": True}

    def names(**more: Any) -> set[str]:
        found = Templar(None, fleet | host | more).template(trust_as_template(shared["base_firewall_rules"]))
        return {rule["name"] for rule in found}

    assert names(fleet_extra_ports=[extra]) == names() | {"relay"}
    assert names() == set(rules("mon1"))
    assert names(fleet_backed_up=False) == names() - {"pgbackrest"}


def test_overlapping_networks_are_merged_because_nftables_refuses_them() -> None:
    matrix = [{"name": "x", "protocol": "tcp", "port": 1, "to": ["app"], "from": ["admin", "redis"]}]
    found = rules("app1", matrix, admin_networks=["10.0.0.0/24", "10.0.0.128/25", "2001:db8::/32", "2001:db8::1"])
    assert found["x"]["sources"] == ["10.0.0.0/24", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("source", "network", "message"),
    [
        ("ap", "10.0.0.0/24", "rule x names 'ap'"),
        ("admin", "10.0.0.1/33", r"rule x is not a network: '10\.0\.0\.1/33'"),
    ],
)
def test_the_error_about_an_unknown_group_or_an_invalid_network_names_it(
    source: str, network: str, message: str
) -> None:
    matrix = [{"name": "x", "protocol": "tcp", "port": 1, "to": ["app"], "from": [source]}]
    with pytest.raises(AnsibleFilterError, match=message):
        rules("app1", matrix, admin_networks=[network])


def lines(found: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the template."""
    return [line.strip() for line in render("base", "nftables.conf.j2", base_firewall_rules=found).splitlines()]


def test_the_template_replaces_only_its_own_table_and_drops_by_default() -> None:
    text = lines([])
    assert "flush ruleset" not in text
    assert text.index("table inet fleet") < text.index("delete table inet fleet") < text.index("table inet fleet {")
    assert "type filter hook input priority filter; policy drop;" in text


def test_the_template_writes_one_line_for_each_address_family() -> None:
    found: list[dict[str, Any]] = [
        {"name": "app", "protocol": "tcp", "port": 8000, "sources": ["10.0.0.1", "10.0.0.2", "2001:db8::/32"]},
        {"name": "https", "protocol": "tcp", "port": 443, "sources": ["any"]},
        {"name": "vrrp", "protocol": "vrrp", "sources": ["10.0.0.1"]},
    ]
    assert {
        'ip saddr { 10.0.0.1, 10.0.0.2 } tcp dport 8000 accept comment "app"',
        'ip6 saddr { 2001:db8::/32 } tcp dport 8000 accept comment "app"',
        'tcp dport 443 accept comment "https"',
        'ip saddr { 10.0.0.1 } ip protocol vrrp accept comment "vrrp"',
    } <= set(lines(found))


def test_the_applications_user_may_not_connect_to_control_ports_of_any_host() -> None:
    shared = read_yaml("inventories/shared/topology.yml")
    fleet = {"fleet_ports": MATRIX, "fleet_addresses": {"db1": "10.0.0.1", "db2": "2001:db8::2"}}
    names = ("app_denied_ports", "app_denied_addresses")
    denied = {name: Templar(None, fleet).template(trust_as_template(shared[name])) for name in names}
    found = render("app", "firewall.nft.j2", app_user="shop-app", __app_account={"uid": 997}, **denied)
    assert "meta skuid 997 jump denied" in found
    # 6479, 6480 and 8443 are for HAProxy and nginx alone, because the application has no certificate.
    for protocol, ports, service in (
        (
            "tcp",
            {6479, 6480, 8443, 2379, 2380, 2381, 8008, 9090, 9093, 9094, 9100, 9121, 9187, 9113, 8404, 3000, 8432, 22},
            "tcp reset",
        ),
        ("udp", {9094}, None),
    ):
        reject = f"reject with {service}" if service else "reject"
        lines = re.findall(rf"^ +(.+?) {protocol} dport {{ (.+) }} {reject}$", found, re.MULTILINE)
        assert [match for match, _ in lines] == [
            "fib daddr type local",
            "ip daddr { 10.0.0.1 }",
            "ip6 daddr { 2001:db8::2 }",
        ]
        assert [{int(port) for port in found.split(", ")} for _, found in lines] == [ports] * 3
