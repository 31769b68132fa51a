"""Upgrades of packages whose servers may lead are left to the maintenance playbook."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.unit.roles.modules import ROLES, load, read_yaml, render

upgrades_waiting = load(ROLES / "base/files/upgrades_waiting.py")
EXCLUDED = read_yaml("roles/base/defaults/main.yml")["base_upgrades_excluded"]
SIMULATED = """
Inst libssl3t64 [3.5.1-1] (3.5.4-1 Debian-Security:13/stable-security [amd64])
Inst patroni [4.0.6-1] (4.0.7-1 Debian:13.2/stable [all])
Inst postgresql-client-17 [17.6-0+deb13u1] (17.7-0+deb13u1 Debian-Security:13/stable-security [amd64]) []
Inst postgresql-17-new (1 Debian:13.2/stable [amd64])
Inst prometheus-redis-exporter [1-1] (1-2 Debian:13.2/stable [amd64])
Conf patroni (4.0.7-1 Debian:13.2/stable [all])
"""


def test_only_excluded_packages_wait_for_a_maintenance() -> None:
    assert upgrades_waiting.waiting(SIMULATED, ["", *EXCLUDED]) == ["patroni", "postgresql-client-17"]
    text = (ROLES / "base/files/upgrades_waiting.py").read_text()
    assert not re.search("{[{%#]", text), "Ansible copies the program as a template"
    assert upgrades_waiting.render(["patroni"]).splitlines()[-1] == 'fleet_upgrade_waiting{package="patroni"} 1'


# prometheus, grafana and nginx restart too, but no other host takes over from them because of it.
@pytest.mark.parametrize("role", ["etcd", "keepalived", "postgres", "redis"])
def test_the_nightly_upgrade_leaves_out_the_servers_of_a_role_that_may_lead(role: str) -> None:
    servers = {"etcd": "etcd-server", "keepalived": "keepalived", "postgres": "patroni", "redis": "redis-server"}
    assert servers[role] in "".join(path.read_text() for path in (ROLES / role).rglob("*.yml"))
    assert any(re.match(pattern, servers[role]) for pattern in EXCLUDED)


@pytest.mark.skipif(not shutil.which("apt-config"), reason="this machine has no apt")
def test_apt_reads_its_limits_and_the_list_that_the_program_uses(tmp_path: Path) -> None:
    written = render(
        "base",
        "unattended-upgrades.j2",
        base_upgrades_enabled=True,
        base_upgrades_reboot=False,
        base_upgrades_excluded=EXCLUDED,
        base_apt_timeout=5,
    )
    (tmp_path / "apt.conf").write_text(written)

    def read(key: str) -> list[str]:
        command = ["apt-config", f"--config-file={tmp_path}/apt.conf", "dump", "--format=%v%n", key]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [line for line in output.splitlines() if line]

    assert read("Unattended-Upgrade::Package-Blacklist") == EXCLUDED
    assert [read(f"Acquire::{name}") for name in ("Retries", "http::Timeout", "https::Timeout")] == [
        ["1"],
        ["5"],
        ["5"],
    ]
