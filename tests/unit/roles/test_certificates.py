"""Role certificates: a host gets one certificate of the fleet's CA, and another one only for a reason."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from getpass import getuser
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from plugins.certificates import ca_pair, leaf, names
from tests.unit.playbooks import Playbooks
from tests.unit.roles.fleet_variables import rendered, trust
from tests.unit.roles.modules import ROLES, load, read_yaml
from tools.fleet.context import ROOT

PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: certificates, tasks_from: leaf}
    - ansible.builtin.include_role: {name: certificates, tasks_from: keys}
"""
CA, NEXT = ca_pair("test_ca_"), ca_pair("test_ca_")
NAMES = ["app1", "app.flaskfleet.internal"]
DAY = timedelta(days=1)
ASSERT = "ansible.builtin.assert"
certificate_metrics = load(ROLES / "certificates/files/certificate_metrics.py")


@pytest.fixture(scope="module")
def playbooks() -> Iterator[Playbooks]:
    with Playbooks(ROOT / "ansible.cfg", {"ANSIBLE_STRATEGY": "linear"}) as started:
        yield started


class Host:
    """A folder with the files of a host, and a copy of the role that anybody may run."""

    def __init__(self, folder: Path, playbooks: Playbooks) -> None:
        self.folder, self.playbooks, self.tls = folder, playbooks, folder / "tls"
        shutil.copytree(ROLES / "certificates", folder / "roles/certificates")
        for path in (folder / "roles/certificates/tasks").iterdir():
            path.write_text(re.sub(r"(?m)^ *(owner|group): .*\n", "", path.read_text()))
        (folder / "play.yml").write_text(PLAYBOOK)

    def converge(self, *options: str, ca: tuple[str, str] = CA, **more: Any) -> tuple[bool, str]:
        """Run the role, and return whether it succeeded, and its output."""
        given = {
            "__certificates_folder": str(self.tls),
            "certificates_name": "app1",
            "certificates_address": "10.0.0.21",
            "certificates_names": NAMES,
            "certificates_ca_key": ca[0],
            "certificates_ca_certificate": ca[1],
            "certificates_authorities": [CA[1], NEXT[1]],
            **more,
        }
        done = self.playbooks.run("-i", "localhost,", "-e", json.dumps(given), *options, str(self.folder / "play.yml"))
        assert "PRIVATE KEY" not in done.stdout + done.stderr
        return done.returncode == 0, done.stdout + done.stderr

    def signed(self, **more: Any) -> str:
        """Run the role, and return the certificate."""
        succeeded, output = self.converge(**more)
        assert succeeded, output
        return (self.tls / "cert.pem").read_text()


@pytest.fixture(scope="module", autouse=True)
def collections() -> None:
    """Let templates in this process find the filters of collections."""
    init_plugin_loader()


@pytest.fixture
def host(tmp_path: Path, playbooks: Playbooks) -> Host:
    return Host(tmp_path, playbooks)


def verified(host: Host, purpose: str) -> bool:
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.pem", "cert.pem"]
    return subprocess.run(command, cwd=host.tls, capture_output=True, check=False).returncode == 0


def test_a_host_gets_one_certificate_for_its_names_and_addresses(host: Host) -> None:
    succeeded, output = host.converge("--check")
    assert succeeded, output
    assert not host.tls.exists(), "check mode writes nothing"
    text = host.signed(certificates_users=[getuser()])
    found, now = leaf(text), datetime.now(UTC)
    assert names(text) == [*NAMES, "10.0.0.21", "127.0.0.1"]
    assert found.subject.rfc4514_string() == "OU=app1,O=flaskfleet"
    assert not found.subject.get_attributes_for_oid(NameOID.COMMON_NAME), "etcd's gateway refuses one"
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert {*usage} == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}
    assert not found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert found.not_valid_before_utc < now - 23 / 24 * DAY, "the clock of another host may be behind"
    assert 396 * DAY <= found.not_valid_after_utc - found.not_valid_before_utc <= 397 * DAY + DAY / 24
    assert [verified(host, purpose) for purpose in ("sslserver", "sslclient")] == [True, True]

    modes = {path.name: path.stat().st_mode & 0o777 for path in host.tls.iterdir()}
    assert modes == {"ca.pem": 0o644, "cert.pem": 0o644, "key.pem": 0o600, f"{getuser()}.key": 0o400}
    assert (host.tls / f"{getuser()}.key").read_bytes() == (host.tls / "key.pem").read_bytes()

    before = {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in host.tls.iterdir()}
    _, output = host.converge(certificates_users=[getuser()])
    assert re.search(r"changed=0 .*failed=0", output), output
    assert before == {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in host.tls.iterdir()}


def test_another_authority_takes_over_and_a_lost_key_is_replaced(host: Host) -> None:
    first, trusted = host.signed(), (host.tls / "ca.pem").read_bytes()
    rotated = host.signed(ca=NEXT, certificates_authorities=[NEXT[1], CA[1]])
    assert (host.tls / "ca.pem").read_bytes() == trusted, "hosts trust it from the first day"
    leaf(rotated).verify_directly_issued_by(leaf(NEXT[1]))
    assert leaf(rotated).public_key() == leaf(first).public_key()
    assert verified(host, "sslserver")
    # It was removed, because an intruder may have it.
    (host.tls / "key.pem").unlink()
    assert leaf(host.signed(ca=NEXT)).public_key() != leaf(first).public_key()
    assert verified(host, "sslserver")


def request(key: ec.EllipticCurvePrivateKey, *addresses: str) -> x509.CertificateSigningRequest:
    """Return a host's request."""
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ip_address(address)) for address in addresses])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return builder.add_extension(alternatives, critical=False).sign(key, hashes.SHA256())


def signed(wish: x509.CertificateSigningRequest, begin: float, end: float) -> str:
    """Return a certificate of CA for a request. It begins and ends in so many days from now."""
    now, signer = datetime.now(UTC), leaf(CA[1])
    key = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        x509.CertificateBuilder(signer.subject, wish.subject, wish.public_key(), x509.random_serial_number())
        .not_valid_before(now + begin * DAY)
        .not_valid_after(now + end * DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key), critical=False)
    )
    for extension in wish.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    private = load_pem_private_key(CA[0].encode(), None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


KEY = ec.generate_private_key(ec.SECP256R1())
SAME = request(KEY, "10.0.0.21")


@pytest.mark.parametrize(
    ("current", "wish", "issuer", "due"),
    [
        (signed(SAME, -200, 134), SAME, CA, False),
        (signed(SAME, -200, 131), SAME, CA, True),
        (signed(SAME, -200, -1), SAME, CA, True),
        (signed(SAME, 0.1, 396), SAME, CA, True),  # the clock of the control node was wrong
        (signed(SAME, -1, 396), request(KEY, "10.0.0.99"), CA, True),
        (signed(SAME, -1, 396), request(ec.generate_private_key(ec.SECP256R1()), "10.0.0.21"), CA, True),
        (signed(SAME, -1, 396), SAME, NEXT, True),
        ("", SAME, CA, True),
    ],
    ids=["same", "third", "expired", "not yet valid", "address", "key", "authority", "none"],
)
def test_a_certificate_is_signed_again_only_for_a_reason(
    current: str, wish: x509.CertificateSigningRequest, issuer: tuple[str, str], due: bool
) -> None:
    given = {
        "certificates_current": current,
        "certificates_request": wish.public_bytes(Encoding.PEM).decode(),
        "certificates_issuer": issuer[1],
    }
    variables = trust(read_yaml("roles/certificates/vars/main.yml")) | given
    for renew in (False, True):
        templar = Templar(DataLoader(), variables | {"certificates_renew": renew})
        assert templar.template(trust("{{ __certificates_due }}")) is (due or renew)


def test_it_is_renewed_when_a_third_of_its_days_are_left() -> None:
    values = (ROLES / "certificates/vars/main.yml").read_text()
    days, left = (
        int(re.findall(rf"(?m)^__certificates_{name}: (\d+)$", values)[0]) for name in ("days", "renewal_days")
    )
    assert days <= 397
    assert left == days // 3


def test_a_host_gets_no_certificate_for_another_host(host: Host) -> None:
    """An intruder on one host changes its openssl."""
    wrapper = host.folder / "openssl"
    wrapper.write_text('#!/bin/sh\nexec openssl "$@" -addext nsComment=db1\n')
    wrapper.chmod(0o755)
    tasks = host.folder / "roles/certificates/tasks/leaf.yml"
    tasks.write_text(tasks.read_text().replace("      - openssl\n", f"      - {wrapper}\n"))
    succeeded, output = host.converge()
    assert not succeeded
    assert "app1 requests another certificate than" in " ".join(output.split())
    assert not (host.tls / "cert.pem").exists()


@pytest.mark.parametrize(
    ("change", "refused"),
    [
        ({}, False),
        ({"subject_alt_name": ["DNS:app1", "DNS:db1"]}, True),
        ({"basic_constraints": ["CA:TRUE"]}, True),
        ({"subject": {"organizationName": "flaskfleet", "organizationalUnitName": "app1", "commonName": "main"}}, True),
        ({"extensions_by_oid": {"2.5.29.17": {}, "2.5.29.30": {}}}, True),
        ({"signature_valid": False}, True),
    ],
    ids=lambda value: next(iter(value), "none") if isinstance(value, dict) else "",
)
def test_a_request_must_be_the_expected_one(change: dict[str, Any], refused: bool) -> None:
    (task,) = (task for task in yaml.safe_load((ROLES / "certificates/tasks/leaf.yml").read_text()) if ASSERT in task)
    values = read_yaml("roles/certificates/vars/main.yml")
    given = {"certificates_name": "app1", "certificates_names": ["app1"], "certificates_address": "10.0.0.21"}
    templar = Templar(DataLoader(), trust(values) | given)
    wanted = templar.template(trust(values["__certificates_expected"])) | {
        "extensions_by_oid": {key: {} for key in values["__certificates_extensions"]},
        "signature_valid": True,
        "version": 1,
    }
    assert wanted["subject_alt_name"] == ["IP:10.0.0.21", "IP:127.0.0.1", "DNS:app1"]
    templar = Templar(DataLoader(), trust(values) | given | {"__certificates_wanted": wanted | change})
    that = [templar.evaluate_conditional(trust(condition)) for condition in task[ASSERT]["that"]]
    assert all(that) is not refused


def test_hosts_have_the_names_that_their_clients_expect() -> None:
    assert rendered()["certificates_names"] == ["app1", "app.flaskfleet.internal"]
    assert rendered(inventory_hostname="cache1", group_names=["redis"])["certificates_names"] == ["cache1"]
    # libpq before 15 compares addresses with names.
    database = rendered(inventory_hostname="db1", group_names=["postgres"], fleet_address="192.0.2.15")
    assert database["certificates_names"] == ["db1", "192.0.2.15", "127.0.0.1"]


def test_the_end_of_every_certificate_is_exported(tmp_path: Path) -> None:
    bundle, broken = tmp_path / "ca.pem", tmp_path / "broken.pem"
    bundle.write_text(f"{CA[1]}{NEXT[0]}{NEXT[1]}")
    broken.write_text(CA[1].replace("MII", "XXX", 1))
    text, failures = certificate_metrics.render([bundle, tmp_path / "absent.pem", broken])
    pair = [leaf(pem) for pem in (CA[1], NEXT[1])]
    ends = {"end": [each.not_valid_after_utc for each in pair], "begin": [each.not_valid_before_utc for each in pair]}
    assert [line for line in text.splitlines() if not line.startswith("#")] == [
        f'flaskfleet_certificate_{name}_seconds{{file="{bundle}",number="{number}"}} {time.timestamp():.0f}'
        for name, times in ends.items()
        for number, time in enumerate(times, 1)
    ]
    (failure,) = failures
    assert failure.startswith(f"{broken}: ")
