"""The preflight's check of the inventory: each failure names the variable, its value and the fix."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from plugins import source
from plugins.action import fleet_check_inventory as check
from tests.unit.roles.modules import port_matrix

GROUPS = {tier: ["a", "b", "c"] for tier in check.TIERS} | {"all": ["a", "b", "c"]}
SUBNET = "10.0.0.0/24"
ADDRESSES = {"a": "10.0.0.11", "b": "10.0.0.12", "c": "10.0.0.13"}
MATRIX = port_matrix()


def test_a_good_inventory_passes() -> None:
    assert check.wrong_groups(GROUPS) == []
    assert check.wrong_addresses(ADDRESSES) == []
    assert check.wrong_vip("10.0.0.5", SUBNET, ADDRESSES) == []
    assert check.wrong_vip("", SUBNET, ADDRESSES) == []  # a cloud has no virtual address
    assert check.wrong_networks(["198.51.100.7/32", "2001:db8::/32"]) == []
    assert check.wrong_ports(MATRIX, GROUPS) == []


def test_a_missing_tier_differs_from_an_empty_one() -> None:
    groups = {**GROUPS, "redis": []}
    del groups["app"]
    assert check.wrong_groups(groups) == [
        "Group app is not in the inventory; put at least one host into it.",
        "Group redis has no host; put at least one host into it.",
    ]


def test_an_application_without_celery_needs_no_workers() -> None:
    assert check.wrong_groups({group: hosts for group, hosts in GROUPS.items() if group != "workers"}) == []


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """Variables of an application that can be deployed."""
    for name in ("pyproject.toml", "requirements.txt"):
        (tmp_path / name).write_text("")
    return {"app_name": "shop", "app_source": str(tmp_path), "app_module": "shop:create_app()"}


def test_an_application_with_nothing_but_a_page_passes(settings: dict[str, Any]) -> None:
    assert check.wrong_application(settings, workers=[]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"app_source": "/nowhere"},
            "app_source = /nowhere is not a folder; set it to the application's folder, git URL or archive.",
        ),
        ({"app_requirements": "/nowhere/lock.txt"}, "app_requirements=/nowhere/lock.txt is not a file in "),
        ({"app_python": "3"}, "app_python=3 is not a version of Python; "),
        ({"nginx_static_source": "/nowhere"}, "nginx_static_source = /nowhere is not a folder; "),
        (
            {"app_celery_app": "shop.tasks:celery"},
            "app_celery_app = shop.tasks:celery needs a worker, and group workers has no host; ",
        ),
        (
            {"app_migrate_command": "shop migrate", "app_migrate_sql_command": "shop sql {current}"},
            "app_migrate_sql_command = 'shop sql {current}' needs the schema's revision; ",
        ),
        ({"app_extra_packages": ["a b"]}, "app_extra_packages has 'a b', which is not a requirement "),
        ({"app_mail_url": "mail.example.org"}, "app_mail_url is not the address of a mail relay; write smtp://"),
        (
            {"app_migrate_status_command": "shop status"},
            "app_migrate_command is not set, although app_migrate_status_command = 'shop status' is; ",
        ),
    ],
)
def test_an_application_that_could_not_be_deployed_is_explained(
    settings: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    (sentence,) = check.wrong_application(settings | change, workers=[])
    assert sentence.startswith(message)


@pytest.mark.parametrize("name", ["../env", "env", "gunicorn.conf.py", "a/b", "", "app.socket", "shop"])
def test_a_configuration_file_needs_a_plain_name(name: str) -> None:
    (sentence,) = check.wrong_file_names([name, "shop.cfg"], "shop")
    assert sentence.startswith(f"app_config_files names {name!r}; use the plain name of a file, other than env, ")


def test_a_repository_that_cannot_be_read_is_one_sentence() -> None:
    (sentence,) = source.unreadable("file:///nowhere.git#v1")
    assert sentence.startswith("cannot read app_source=file:///nowhere.git#v1: '/nowhere.git' does not appear to be a ")
    assert source.unreadable("/nowhere") == source.unreadable("https://h/shop.tar.gz") == []


def test_an_even_quorum_is_refused() -> None:
    (sentence,) = check.wrong_groups({**GROUPS, "etcd": ["a", "b"]})
    assert sentence.startswith("Group etcd = a, b has an even number of hosts, 2. ")


def test_each_wrong_address_is_reported() -> None:
    addresses = {"a": "10.0.0.11", "b": "10.0.0.11", "c": "db3.example", "d": None, "e": "2001:db8::1"}
    sentences = check.wrong_addresses(addresses)
    assert len(sentences) == 4
    assert "fleet_address = 10.0.0.11 is set for a and b; give each host an address of its own." in sentences
    assert any(sentence.startswith("d: fleet_address is not set; ") for sentence in sentences)


@pytest.mark.parametrize(
    ("vip", "subnet", "message"),
    [
        ("10.0.1.5", SUBNET, "fleet_vip = 10.0.1.5 is not a host address of fleet_subnet = 10.0.0.0/24"),
        ("10.0.0.255", SUBNET, "is not a host address"),
        ("10.0.0.12", SUBNET, "fleet_vip = 10.0.0.12 is the fleet_address of b; set a free address of 10.0.0.0/24."),
        ("none", SUBNET, "fleet_vip = 'none' is not an IPv4 address"),
        ("10.0.0.5", "10.0.0.1/24", "fleet_subnet = '10.0.0.1/24' is not a network"),
    ],
)
def test_a_wrong_virtual_address_is_explained(vip: str, subnet: str, message: str) -> None:
    (sentence,) = check.wrong_vip(vip, subnet, ADDRESSES)
    assert message in sentence


@pytest.mark.parametrize("networks", [[], "198.51.100.7/32", None, ["198.51.100.7/33"]])
def test_admin_networks_that_allow_no_login_are_refused(networks: Any) -> None:
    (sentence,) = check.wrong_networks(networks)
    assert sentence.startswith("fleet_admin_networks")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"port": "22"}, "port = '22' is not a port; use a number from 1 to 65535, without quotes."),
        ({"port": 70000}, "port = 70000 is not a port"),
        ({"port": True}, "port = True is not a port"),
        ({"protocol": "sctp"}, "protocol = 'sctp' is unknown"),
        ({"to": "app"}, "to = 'app' is not a list of groups"),
        ({"to": ["any"]}, "to names 'any', which is not a group of the inventory; use a group."),
        ({"from": ["ap"]}, "from names 'ap', which is not a group of the inventory; use a group, any or admin."),
        ({"from": []}, "from = [] is not a list of groups"),
    ],
)
def test_a_wrong_entry_of_the_port_matrix_is_explained(change: dict[str, Any], message: str) -> None:
    rule = {"name": "ssh", "port": 22, "protocol": "tcp", "to": ["app"], "from": ["admin"], **change}
    (sentence,) = check.wrong_ports([rule], GROUPS)
    assert sentence.startswith("fleet_ports, entry 1 (ssh): ")
    assert message in sentence


def test_the_inventorys_own_ports_are_checked_like_the_matrix() -> None:
    extra = [{"name": "ssh", "port": 2222, "protocol": "tcp", "to": ["app"], "from": ["ap"]}]
    taken = [rule["name"] for rule in MATRIX]
    sentences = check.wrong_ports(extra, GROUPS, "fleet_extra_ports", taken)
    assert [sentence.partition(": ")[0] for sentence in sentences] == ["fleet_extra_ports, entry 1 (ssh)"] * 2
    assert sentences[0].endswith(": an entry of fleet_ports has this name already; choose another one.")
    assert check.wrong_ports([], GROUPS, "fleet_extra_ports", taken) == []


@pytest.mark.parametrize("missing", ["redis", "workers"])
def test_a_missing_tier_is_not_reported_again_for_every_port(missing: str) -> None:
    assert check.wrong_ports(MATRIX, {group: hosts for group, hosts in GROUPS.items() if group != missing}) == []
