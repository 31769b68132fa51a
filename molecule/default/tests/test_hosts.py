"""Checks of every host: no failed units, the firewall matches the port matrix, services survive a reboot."""

import json
import sys
from typing import Any

import pytest

from tests.support.live import ports
from tests.support.live.fleet import LiveFleet, eventually


def test_no_unit_failed_anywhere(fleet: LiveFleet) -> None:
    unhealthy = [host for host in fleet.hosts.values() if not fleet.is_healthy(host)]
    failed = {host.name: fleet.run(host, "systemctl --failed --no-legend --plain").stdout for host in unhealthy}
    assert failed == {}


def test_ports_are_open_only_to_the_hosts_in_the_port_matrix(fleet: LiveFleet) -> None:
    wanted = {flow for flow, allowed in ports.expected(fleet).items() if allowed}
    found = ports.observed(fleet)
    assert found - wanted == set(), "open to hosts that are not in the port matrix"
    assert wanted - found - ports.may_be_unused(fleet) == set(), "closed, or no listener"


def test_every_host_resolves_the_names_of_the_others(fleet: LiveFleet) -> None:
    host = next(iter(fleet.hosts.values()))
    for other in fleet.hosts.values():
        assert fleet.run(host, f"getent hosts {other.name}").stdout.split()[0] in {other.address, "127.0.1.1", "::1"}


@pytest.mark.usefixtures("healthy_fleet")
def test_services_start_after_a_reboot(fleet: LiveFleet) -> None:
    standby = fleet.standbys[0] if fleet.standbys else fleet.primary
    boot = fleet.run(standby, "stat -c %y /proc/1").stdout
    fleet.run(standby, "systemd-run --on-active=1 systemctl reboot")
    assert eventually(lambda: fleet.run(standby, "stat -c %y /proc/1", check=False).stdout not in {"", boot}, within=60)
    primary = next(host for host in fleet.group("postgres") if host != standby)
    streaming = (
        f"select count(*) from pg_stat_replication where application_name = '{standby.name}' and state = 'streaming'"
    )
    assert eventually(lambda: fleet.sql(primary, streaming) == "1", within=90)


def test_make_status_reports_full_redundancy_and_the_leaders(fleet: LiveFleet) -> None:
    def status() -> dict[str, Any]:
        result = fleet.fleet.run(sys.executable, "-m", "tools.fleet", "status", "--json", quiet=True)
        document: dict[str, Any] = json.loads(result.stdout)
        assert (result.returncode, document["missing"]) == (0, [])
        return document

    # A host that was just rebooted has to catch up first.
    facts = {name: host["facts"] for name, host in eventually(status, within=60, every=1)["hosts"].items()}
    assert [name for name, found in facts.items() if found.get("vip")] == [getattr(fleet.vip_holder(), "name", None)]
    assert [name for name, found in facts.items() if (found.get("postgres") or {}).get("primary")] == [
        fleet.primary.name
    ]
    assert set(facts[fleet.primary.name]["postgres"]["standbys"]) == {standby.name for standby in fleet.standbys}
    assert {facts[host.name]["sentinel"] for host in fleet.group("sentinel")} == {len(fleet.group("sentinel"))}
