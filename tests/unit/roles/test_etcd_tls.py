"""Role etcd: TLS for its clients, beside plain text."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.unit.roles.fleet_variables import computed, trust
from tests.unit.roles.modules import ROLES, read_list, read_yaml, render

BOTH = ["http", "https"]


def written(state: Any, had: str = "", clients: str = "unknown", moves: bool = False) -> str:
    """Return etcd's settings with this value of etcd_tls, on a host that had these, whose clients use this scheme.

    With `moves`, the way in which the other members reach it changes too.
    """
    registered = {"__etcd_settings_file": {"content": b64encode(had.encode()).decode()} if had else {}}
    given = {"etcd_tls": state, "etcd_address": "10.0.0.1", "etcd_clients_use": [clients]}
    files = [trust(read_yaml(f"roles/etcd/{kind}/main.yml")) for kind in ("defaults", "vars")]
    variables = files[0] | files[1] | registered | given | ({"__etcd_moves": True} if moves else {})
    return render("etcd", "fleet.conf.j2", **computed(variables | {"inventory_hostname": "db1"}))


def settings(text: str) -> dict[str, str]:
    """Return etcd's environment."""
    return dict(line.removeprefix("Environment=").split("=", 1) for line in text.splitlines() if "=ETCD_" in line)


def schemes(text: str) -> tuple[list[str], str]:
    """Return what the member serves, and what it tells its clients to use."""
    found = settings(text)
    served = {url.partition(":")[0] for url in found["ETCD_LISTEN_CLIENT_URLS"].split(",")}
    return sorted(served), found["ETCD_ADVERTISE_CLIENT_URLS"].partition(":")[0]


def test_both_schemes_are_served_on_one_port_and_tls_needs_a_certificate_of_the_client() -> None:
    found = settings(written("both"))
    assert found["ETCD_LISTEN_CLIENT_URLS"].split(",") == [
        "http://10.0.0.1:2379",
        "http://127.0.0.1:2379",
        "https://10.0.0.1:2379",
        "https://127.0.0.1:2379",
    ]
    for part in ("", "PEER_"):
        assert found[f"ETCD_{part}CLIENT_CERT_AUTH"] == "true"
        assert found[f"ETCD_{part}KEY_FILE"] == "/etc/fleet-tls/etcd.key"
    assert found["ETCD_LISTEN_PEER_URLS"] == "https://10.0.0.1:2380"


@pytest.mark.parametrize("state", ["off", False])
def test_off_is_plain_text_however_yaml_reads_it(state: Any) -> None:
    found = settings(written(state))
    assert found["ETCD_LISTEN_CLIENT_URLS"] == "http://10.0.0.1:2379,http://127.0.0.1:2379"
    assert not any("CERT" in name or "KEY" in name for name in found)


@pytest.mark.parametrize(
    ("before", "after", "between"),
    [
        pytest.param("off", "only", (BOTH, "http"), id="a fleet without TLS"),
        pytest.param("both", "only", (BOTH, "https"), id="plain text is closed"),
        pytest.param("only", "both", (BOTH, "https"), id="plain text is opened"),
        pytest.param("only", "off", (BOTH, "http"), id="TLS is switched off"),
        pytest.param("off", "both", (BOTH, "http"), id="TLS is switched on"),
        pytest.param("only", "only", (["https"], "https"), id="nothing changes"),
    ],
)
def test_clients_change_while_the_members_serve_both(before: str, after: str, between: tuple[list[str], str]) -> None:
    """One run first adds what clients will use, and then removes what they used."""
    first = written(after, written(before))
    assert schemes(first) == between
    assert schemes(written(after, first)) == between, "as long as a client has not changed"
    uses = "http" if after == "off" else "https"
    last = written(after, first, uses)
    assert schemes(last) == (BOTH if after == "both" else [uses], uses)
    assert written(after, last) == last, "the next run changes nothing"


def test_members_change_alone_after_all_of_them_have_loaded_a_certificate() -> None:
    def peers(text: str) -> tuple[str, bool]:
        found = settings(text)
        assert found["ETCD_LISTEN_PEER_URLS"] == found["ETCD_INITIAL_ADVERTISE_PEER_URLS"]
        return found["ETCD_LISTEN_PEER_URLS"].partition(":")[0], "ETCD_PEER_CERT_FILE" in found

    loaded = written("only", written("off"))
    assert peers(loaded) == ("http", True)
    moved = written("only", loaded, moves=True)
    assert peers(moved) == ("https", True)
    assert peers(written("only", moved, "https")) == ("https", True)
    back = written("off", moved, "https")
    assert peers(back) == ("https", True)
    assert peers(written("off", written("off", back, moves=True), "http")) == ("http", False)


def test_a_new_member_serves_at_once_what_it_is_to_serve() -> None:
    assert schemes(written("only")) == (["https"], "https")
    assert schemes(written("off")) == (["http"], "http")


def test_roles_that_copy_the_key_can_be_run_alone() -> None:
    """The play of role certificates needs the tags of all plays whose roles copy the host's key."""
    plays = {play["name"]: play for play in read_list("playbooks/site.yml")}
    tagged = set(plays["Give every host a certificate"]["tags"])
    copying = {path.parts[-3] for path in ROLES.glob("*/tasks/*.yml") if "tasks_from: keys" in path.read_text()}
    assert copying, "no role copies the key"
    for play in plays.values():
        roles = {role["role"] for role in play.get("roles", [])}
        assert not roles & copying or set(play["tags"]) <= tagged, play["name"]
