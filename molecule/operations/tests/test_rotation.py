"""Certificates are replaced, and then the CA, while the fleet serves."""

import pytest

from tests.support.drills import faults
from tests.support.drills.changes import NO_FAILURES, operation
from tests.support.drills.runner import DrillRunner
from tests.support.live.fleet import LiveFleet

SHOW = "openssl x509 -in /etc/fleet-tls/cert.pem -noout -serial -issuer && sha256sum /etc/fleet-tls/ca.pem"
# The serial number of the certificate that a server shows at this host's address.
SERVED = (
    "openssl s_client {options} -connect {address}:{port} -cert /etc/fleet-tls/cert.pem -key /etc/fleet-tls/key.pem"
    " </dev/null 2>/dev/null | openssl x509 -noout -serial"
)
SERVERS = {"etcd": [(2379, ""), (2380, "")], "postgres": [(5432, "-starttls postgres")], "app": [(8443, "")]}
SERVERS["redis"] = [(6479, ""), (6480, "")]


def shown(fleet: LiveFleet) -> dict[str, list[str]]:
    """Return the serial number and issuer of every host's certificate, and the checksum of the CAs that it trusts."""
    return {host.name: fleet.run(host, SHOW).stdout.splitlines() for host in fleet.hosts.values()}


@pytest.mark.parametrize("kind", ["leaf", "authority"])
def test_certificates_are_replaced_under_load(runner: DrillRunner, kind: str) -> None:
    fleet = runner.fleet
    before = shown(fleet)
    drill = operation(
        f"rotate-{kind}",
        lambda runner: faults.playbook_run(runner.fleet, "playbooks/rotate.yml", "-e", f"rotate={kind}"),
        write_gap=1,
        failed=NO_FAILURES,
    )
    assert drill.breaches(runner.run(drill, 1)) == []
    after = shown(fleet)
    for host in fleet.hosts.values():
        assert after[host.name][0] != before[host.name][0], "the certificate"
        # The issuer, and the CAs.
        for line in (1, 2):
            assert (after[host.name][line] != before[host.name][line]) == (kind == "authority"), after[host.name]
        for group, ports in SERVERS.items():
            for port, options in ports if group in host.groups else ():
                served = fleet.run(host, SERVED.format(address=host.address, port=port, options=options)).stdout
                assert served.strip() == after[host.name][0], f"{host.name}:{port}"
