"""What the script that makes a host is told of its instance."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cloud import hosts
from tests.cloud.instances import Instance


def test_hosts_that_boot_at_the_same_time_share_no_file_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: dict[str, str] = {}

    def run(_command: list[str], **environment: str) -> str:
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
