"""Role pgbackrest: the certificate of a host is signed once, and again for another address or by another CA."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from plugins.certificates import ca_pair, names
from tests.unit.playbooks import Playbooks
from tools.fleet.context import ROOT

PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: pgbackrest, tasks_from: certificate}
    - ansible.builtin.copy:
        content: "{{ item.content }}"
        dest: "{{ __pgbackrest_folder }}/{{ item.name }}"
      loop:
        - {name: host.crt, content: "{{ certificates_signed }}"}
        - {name: host.key, content: "{{ __pgbackrest_key.privatekey }}"}
      loop_control: {label: "{{ item.name }}"}
"""
CA = ca_pair("test_ca_")


@pytest.fixture(scope="module")
def playbooks() -> Iterator[Playbooks]:
    with Playbooks(ROOT / "ansible.cfg", {"ANSIBLE_STRATEGY": "linear"}) as started:
        yield started


def sign(playbooks: Playbooks, folder: Path, ca: tuple[str, str] = CA, **more: str) -> str:
    """Run the role's tasks, and return the host's certificate."""
    (folder / "play.yml").write_text(PLAYBOOK)
    given = {
        "__pgbackrest_folder": str(folder),
        "pgbackrest_name": "db1",
        "pgbackrest_address": "10.0.0.41",
        "pgbackrest_ca_key": ca[0],
        "pgbackrest_ca_certificate": ca[1],
        **more,
    }
    done = playbooks.run("-i", "localhost,", "-e", json.dumps(given), str(folder / "play.yml"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PRIVATE KEY" not in done.stdout
    return (folder / "host.crt").read_text()


def test_a_host_gets_one_certificate_of_the_ca_for_its_name_and_address(playbooks: Playbooks, tmp_path: Path) -> None:
    first = sign(playbooks, tmp_path)
    key = (tmp_path / "host.key").read_text()
    leaf, authority = (x509.load_pem_x509_certificate(text.encode()) for text in (first, CA[1]))
    leaf.verify_directly_issued_by(authority)
    now = datetime.now(UTC)
    assert names(first) == ["db1", "10.0.0.41"]
    assert leaf.subject.rfc4514_string() == "CN=db1"
    assert leaf.not_valid_before_utc < now - timedelta(hours=23), "the clock of another host may be behind"
    assert timedelta(days=396) <= leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=397, hours=1)

    assert sign(playbooks, tmp_path) == first, "a second run changes nothing"
    assert (tmp_path / "host.key").read_text() == key
    assert names(sign(playbooks, tmp_path, pgbackrest_address="10.0.0.99")) == ["db1", "10.0.0.99"]
    other = ca_pair("test_ca_")
    leaf = x509.load_pem_x509_certificate(sign(playbooks, tmp_path, other).encode())
    leaf.verify_directly_issued_by(x509.load_pem_x509_certificate(other[1].encode()))
