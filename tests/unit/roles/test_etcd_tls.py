"""Role etcd: TLS for its clients, beside plain text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.roles.fleet_variables import rendered, trust
from tests.unit.roles.modules import ROLES, read_list, read_yaml, render


def settings(state: Any) -> dict[str, str]:
    """Return etcd's environment with this value of etcd_tls."""
    computed = rendered(**trust(read_yaml("roles/etcd/vars/main.yml")), etcd_tls=state, etcd_address="10.0.0.1")
    found = render("etcd", "fleet.conf.j2", **computed)
    return dict(line.removeprefix("Environment=").split("=", 1) for line in found.splitlines() if "=ETCD_" in line)


def test_both_schemes_are_served_on_one_port_and_tls_needs_a_certificate_of_the_client() -> None:
    found = settings("both")
    assert found["ETCD_LISTEN_CLIENT_URLS"].split(",") == [
        "http://10.0.0.1:2379",
        "http://127.0.0.1:2379",
        "https://10.0.0.1:2379",
        "https://127.0.0.1:2379",
    ]
    for part in ("", "PEER_"):
        assert found[f"ETCD_{part}CLIENT_CERT_AUTH"] == "true"
        assert found[f"ETCD_{part}KEY_FILE"] == "/etc/fleet-tls/etcd.key"
    assert found["ETCD_LISTEN_PEER_URLS"] == "http://10.0.0.1:2380"


@pytest.mark.parametrize("state", ["off", False])
def test_off_is_plain_text_however_yaml_reads_it(state: Any) -> None:
    found = settings(state)
    assert found["ETCD_LISTEN_CLIENT_URLS"] == "http://10.0.0.1:2379,http://127.0.0.1:2379"
    assert not any("CERT" in name or "KEY" in name for name in found)


def test_roles_that_copy_the_key_can_be_run_alone() -> None:
    """The play of role certificates needs the tags of all plays whose roles copy the host's key."""
    plays = {play["name"]: play for play in read_list("playbooks/site.yml")}
    tagged = set(plays["Give every host a certificate"]["tags"])
    copying = {path.parts[-3] for path in ROLES.glob("*/tasks/*.yml") if "tasks_from: keys" in path.read_text()}
    assert copying, "no role copies the key"
    for play in plays.values():
        roles = {role["role"] for role in play.get("roles", [])}
        assert not roles & copying or set(play["tags"]) <= tagged, play["name"]
