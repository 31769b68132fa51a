"""The parameters of the script that creates an instance's host."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.cloud import hosts
from tests.support.cloud.instances import Instance


def test_hosts_that_boot_at_the_same_time_use_different_key_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: dict[str, str] = {}

    def run(_command: list[str], **environment: str) -> str:
        if "PUBLIC_KEY_FILE" not in environment:
            return ""
        file = environment["PUBLIC_KEY_FILE"]
        assert file not in read
        read[file] = Path(file).read_text()
        if environment["HOST"] == "i-1":
            hosts.boot(Instance("i-2", "10.80.0.12", "cloud", "vpc-1", "running"), "ssh-ed25519 AAAA")
        return ""

    monkeypatch.setattr(hosts, "DIRECTORY", tmp_path)
    monkeypatch.setattr(hosts, "_run", run)
    hosts.boot(Instance("i-1", "10.80.0.11", "cloud", "vpc-1", "running"), "ssh-ed25519 AAAA")
    assert list(read.values()) == ["ssh-ed25519 AAAA\n"] * 2
    assert list(tmp_path.iterdir()) == []


def test_a_host_without_a_known_address_is_removed(tmp_path: Path) -> None:
    script = tmp_path / "terraform" / "modules" / "sandbox_host" / "host.sh"
    engine, calls = tmp_path / "bin" / "engine", tmp_path / "calls"
    for file in (script, engine):
        file.parent.mkdir(parents=True)
    shutil.copy2(hosts.HOST, script)
    engine.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n[ "$1" = rm ]\n')
    engine.chmod(0o755)
    environment = {
        "PATH": "/usr/bin:/bin",
        "FLEET": "cloud",
        "HOST": "i-1",
        "ADDRESS": "none",
        "NETWORK": "none",
        "STATE_DIRECTORY": str(tmp_path),
    }
    result = subprocess.run([script, "destroy"], env=environment, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert calls.read_text().splitlines() == ["rm --force --volumes cloud-i-1", "container inspect cloud-i-1"]
