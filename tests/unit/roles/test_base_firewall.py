"""The firewall rules of each host from the port matrix, and the nftables template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml
from ansible.errors import AnsibleFilterError

from plugins.filter.firewall import firewall_rules

ROOT = Path(__file__).resolve().parents[3]
MATRIX: list[dict[str, Any]] = yaml.safe_load((ROOT / "inventories/shared/ports.yml").read_text())["fleet_ports"]
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
}
ADDRESSES = {name: f"10.0.0.{number}" for number, name in enumerate(GROUPS["all"], 11)}
ADMIN = ["198.51.100.0/24"]


def rules(host: str, matrix: list[dict[str, Any]] = MATRIX, **more: Any) -> dict[str, dict[str, Any]]:
    """Return the rules of `host` by name."""
    found = firewall_rules(matrix, host, GROUPS, ADDRESSES, more.pop("admin_networks", ADMIN), **more)
    return {rule["name"]: rule for rule in found}


def test_a_host_opens_only_the_ports_of_its_own_tiers() -> None:
    assert set(rules("app1")) == {"ssh", "node-exporter", "app"}
    assert "postgres" not in rules("mon1")


def test_a_port_is_open_only_to_the_tiers_that_need_it() -> None:
    assert rules("db1")["postgres"]["sources"] == [ADDRESSES[name] for name in ("app1", "worker1", "db2")]
    assert rules("db1")["node-exporter"]["sources"] == [ADDRESSES["mon1"]]


def test_the_site_is_public_and_ssh_is_open_only_to_admins() -> None:
    assert rules("lb1")["https"]["sources"] == ["any"]
    assert all(rules(host)["ssh"]["sources"] == ADMIN for host in GROUPS["all"])


def test_vrrp_has_no_port_and_passes_between_load_balancers() -> None:
    assert rules("lb1")["vrrp"] == {"name": "vrrp", "protocol": "vrrp", "sources": [ADDRESSES["lb2"]]}


def test_traffic_from_the_load_balancers_may_have_the_vip_as_source() -> None:
    assert "10.0.0.5" in rules("app1", vip="10.0.0.5")["app"]["sources"]
    assert "10.0.0.5" not in rules("lb1", vip="10.0.0.5")["vrrp"]["sources"]


def test_a_single_host_opens_only_ssh_the_site_and_the_consoles() -> None:
    groups = {group: ["node1"] for group in GROUPS}
    found = firewall_rules(MATRIX, "node1", groups, {"node1": "10.0.0.11"}, ADMIN, "10.0.0.5")
    assert {rule["name"] for rule in found} == {"ssh", "http", "https", "prometheus", "alertmanager", "grafana"}


def test_overlapping_networks_are_merged_because_nftables_refuses_them() -> None:
    matrix = [{"name": "x", "protocol": "tcp", "port": 1, "to": ["app"], "from": ["admin", "redis"]}]
    found = rules("app1", matrix, admin_networks=["10.0.0.0/24", "10.0.0.128/25", "2001:db8::/32", "2001:db8::1"])
    assert found["x"]["sources"] == ["10.0.0.0/24", "2001:db8::/32"]


def test_the_error_about_an_unknown_group_names_it() -> None:
    matrix = [{"name": "x", "protocol": "tcp", "port": 1, "to": ["app"], "from": ["ap"]}]
    with pytest.raises(AnsibleFilterError, match="rule x names 'ap'"):
        rules("app1", matrix)


def test_the_error_about_an_invalid_source_names_it() -> None:
    with pytest.raises(AnsibleFilterError, match=r"rule ssh is not a network: '10\.0\.0\.1/33'"):
        rules("app1", admin_networks=["10.0.0.1/33"])


def render(found: list[dict[str, Any]]) -> list[str]:
    """Return the lines of the template, rendered like in Ansible."""
    environment = jinja2.Environment(trim_blocks=True)
    environment.filters["comment"] = lambda text: f"# {text}"
    environment.tests["search"] = lambda value, pattern: pattern in value
    template = environment.from_string((ROOT / "roles/base/templates/nftables.conf.j2").read_text())
    return [line.strip() for line in template.render(ansible_managed="", base_firewall_rules=found).splitlines()]


def test_the_template_replaces_only_its_own_table_and_drops_by_default() -> None:
    lines = render([])
    assert "flush ruleset" not in lines
    assert lines.index("table inet fleet") < lines.index("delete table inet fleet") < lines.index("table inet fleet {")
    assert "type filter hook input priority filter; policy drop;" in lines


def test_the_template_writes_one_line_for_each_address_family() -> None:
    lines = render(
        [
            {"name": "app", "protocol": "tcp", "port": 8000, "sources": ["10.0.0.1", "10.0.0.2", "2001:db8::/32"]},
            {"name": "https", "protocol": "tcp", "port": 443, "sources": ["any"]},
            {"name": "vrrp", "protocol": "vrrp", "sources": ["10.0.0.1"]},
        ]
    )
    assert 'ip saddr { 10.0.0.1, 10.0.0.2 } tcp dport 8000 accept comment "app"' in lines
    assert 'ip6 saddr { 2001:db8::/32 } tcp dport 8000 accept comment "app"' in lines
    assert 'tcp dport 443 accept comment "https"' in lines
    assert 'ip saddr { 10.0.0.1 } ip protocol vrrp accept comment "vrrp"' in lines
