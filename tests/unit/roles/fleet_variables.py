"""The variables of the host app1 of a small fleet, as Ansible computes them."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template

from tests.unit.roles.modules import ROLES, read_yaml
from tools.fleet.context import ROOT

GROUPS = {
    "loadbalancers": ["lb1", "lb2"],
    "app": ["app1"],
    "workers": ["worker1"],
    "postgres": ["db1"],
    "etcd": ["db1"],
    "redis": ["cache1"],
    "sentinel": ["cache1"],
    "monitoring": ["mon1"],
}
HOSTS = ["lb1", "lb2", "app1", "worker1", "db1", "cache1", "mon1"]
FLEET: dict[str, Any] = {
    "inventory_hostname": "app1",
    "inventory_dir": str(ROOT / "inventories/sandbox"),
    "group_names": ["app"],
    "groups": GROUPS | {"all": HOSTS},
    "fleet_addresses": {name: f"192.0.2.{number}" for number, name in enumerate(HOSTS, 11)},
    "fleet_address": "192.0.2.13",
    "fleet_domain": "news.example.org",
    "fleet_vip": "192.0.2.5",
    "fleet_admin_networks": ["198.51.100.7/32"],
    "fleet_extra_ports": [],
}


@cache
def variables() -> dict[str, Any]:
    """Return the variables of the host app1: defaults of all roles, shared ones, and those of the fleet."""
    found: dict[str, Any] = {}
    for path in [*ROLES.glob("*/defaults/main.yml"), *sorted((ROOT / "inventories/shared").glob("*.yml"))]:
        found |= trust(read_yaml(path) or {})
    secrets = {text[3:-3]: "x" for text in read_yaml("inventories/shared/secrets.yml").values()}
    found |= trust(read_yaml("inventories/applications/news.yml"))
    return found | secrets | FLEET


def trust(value: Any) -> Any:
    """Mark text as a template, as Ansible does with a file."""
    if isinstance(value, dict):
        return {name: trust(item) for name, item in value.items()}
    if isinstance(value, list):
        return [trust(item) for item in value]
    return trust_as_template(value) if isinstance(value, str) else value


def rendered(**change: Any) -> dict[str, Any]:
    """Return those variables that need no secret and no facts of the host."""
    return computed(variables() | change)


def computed(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of variables, without those that use others which are not given."""
    templar, values = Templar(DataLoader(), given), {}
    for name, value in given.items():
        try:
            values[name] = templar.template(value)
        except AnsibleError:
            continue
    return values
