"""Data volumes on a loop device, in a mount namespace with its own /etc, so that the test leaves nothing behind."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.playbooks import Playbooks
from tools.fleet.context import ROOT

PLAYBOOK = """\
- hosts: localhost
  connection: local
  gather_subset: ["!all", "!min", mounts]  # the only facts that the role reads
  tasks:
    - ansible.builtin.include_role: {name: base, tasks_from: volumes}
"""
# An overlay cannot be mounted on an overlay, so it needs a tmpfs.
PREPARE = """
set -e
mount -t tmpfs tmpfs "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
truncate --size 64M "$1/image"
losetup --find --show "$1/image"
exec sleep 300
"""


def may_grow() -> bool:
    """Return whether this process has CAP_SYS_RESOURCE."""
    (capabilities,) = re.findall(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), flags=re.MULTILINE)
    return bool(int(capabilities, 16) >> 24 & 1)


class Machine:
    """A mount namespace in which the role runs, and a block device."""

    def __init__(self, pid: int, directory: Path, device: str) -> None:
        self.directory, self.device = directory, device
        self.inside = ["nsenter", f"--mount=/proc/{pid}/ns/mnt"]
        self.playbooks = Playbooks(ROOT / "ansible.cfg", {"ANSIBLE_STRATEGY": "linear"}, self.inside)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the namespace."""
        return subprocess.run([*self.inside, *command], capture_output=True, text=True, timeout=60, check=False)

    def shell(self, script: str) -> str:
        """Run a script in the test's folder; return its output."""
        done = self.run("sh", "-ec", f"cd {self.directory}; {script}")
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def mount(self, folder: str, *options: str) -> str:
        """Mount the device at a folder with the role; return Ansible's output."""
        self.shell(f"echo '{PLAYBOOK}' >volumes.yml")
        given = {"base_data_volumes": [{"device": self.device, "path": str(self.directory / folder)}]}
        playbook = str(self.directory / "volumes.yml")
        done = self.playbooks.run("-i", "localhost,", "-e", json.dumps(given), playbook, *options)
        return done.stdout + done.stderr


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    command = ["unshare", "--mount", "sh", "-c", PREPARE, "sh", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stderr
        device = holder.stdout.readline().strip()
        if not device:
            pytest.skip(
                f"this machine has no mount namespaces or loop devices for this user: {holder.stderr.read().strip()}"
            )
        machine = Machine(holder.pid, tmp_path, device)
        try:
            with machine.playbooks:
                yield machine
        finally:
            machine.run("umount", "--quiet", device)
            machine.run("losetup", "--detach", device)
            holder.kill()


def test_data_survives_the_replacement_of_a_host(machine: Machine) -> None:
    assert "failed=0" in machine.mount("data", "--check")
    assert "changed=2" in machine.mount("data")
    machine.shell("echo kept >data/file")
    assert "changed=0" in machine.mount("data")
    assert "ext4 defaults,noatime" in machine.shell("cat /etc/fstab")

    # Simulate the next host that the volume is attached to.
    machine.shell("umount data; : >/etc/fstab")
    assert "changed=1" in machine.mount("data")
    assert machine.shell("cat data/file") == "kept"


@pytest.mark.skipif(
    not may_grow(), reason="growing a mounted file system needs CAP_SYS_RESOURCE, which this machine does not grant"
)
def test_the_file_system_of_an_enlarged_volume_grows(machine: Machine) -> None:
    machine.mount("data")
    machine.shell(f"truncate --size 256M image; losetup --set-capacity {machine.device}")
    assert "changed=1" in machine.mount("data")
    assert int(machine.shell("df --output=size --block-size=1M data | tail -1")) > 200


def test_a_volume_that_would_hide_files_is_refused(machine: Machine) -> None:
    machine.shell("mkdir data; echo precious >data/.file")
    assert f"{machine.directory}/data/.file of localhost" in " ".join(machine.mount("data").split())
    assert machine.shell(f"blkid {machine.device} || echo empty") == "empty"
