"""The host has a certificate of the fleet's own CA, and the fleet knows when it ends."""

from tests.support.live.fleet import LiveFleet, eventually

FOLDER = "/etc/fleet-tls"
END = "flaskfleet_certificate_end_seconds"


def test_the_host_has_a_certificate_for_its_names_and_addresses(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    for purpose in ("sslserver", "sslclient"):
        for name in (
            f"-verify_ip {node.address}",
            "-verify_ip 127.0.0.1",
            f"-verify_hostname {node.name}",
            "-verify_hostname app.flaskfleet.internal",
        ):
            fleet.run(
                node, f"cd {FOLDER} && openssl verify -x509_strict -purpose {purpose} {name} -CAfile ca.pem cert.pem"
            )
    other = f"openssl verify -verify_hostname db9 -CAfile {FOLDER}/ca.pem {FOLDER}/cert.pem"
    assert "hostname mismatch" in fleet.run(node, other, check=False).stderr


def test_only_root_can_read_the_key(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    assert "Permission denied" in fleet.run(node, f"sudo -u nobody cat {FOLDER}/key.pem", check=False).stderr


def test_prometheus_knows_when_each_certificate_ends(fleet: LiveFleet) -> None:
    (node,) = fleet.hosts.values()
    files = {"/etc/fleet-tls/ca.pem", "/etc/fleet-tls/cert.pem", "/etc/nginx/tls.pem"}

    def exported() -> bool:
        found = fleet.prometheus("query", query=f"{END} > time()")["result"]
        return files <= {series["metric"]["file"] for series in found if series["metric"]["instance"] == node.name}

    fleet.run(node, "systemctl start certificate-metrics")  # otherwise within ten minutes
    assert eventually(exported, within=60)
