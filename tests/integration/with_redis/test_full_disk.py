"""What a replica with a full disk costs its master, with the role's settings for replication."""

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from redis import Redis

from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tools.fleet.context import ROOT

Start = Callable[..., tuple[Redis, Path]]
# Mounts a disk of 8 MiB of its own.
SMALL_DISK = "mount -t tmpfs -o size=8m tmpfs {folder} && exec {command}"
SECONDS = 6


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a Redis with some options, with `small` on a small disk. Return a client and the folder with its data."""
    if (program := shutil.which("redis-server")) is None:
        pytest.skip("redis-server is not installed. Run: apt-get install redis-server")
    if subprocess.run(["unshare", "--user", "--map-root-user", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespace: this machine does not allow one")
    processes = []

    def run(*options: str, small: bool = False) -> tuple[Redis, Path]:
        port = free_port()
        folder = tmp_path / str(port)
        folder.mkdir()
        command = [program, "--port", str(port), "--dir", str(folder), "--save", "", *options]
        if small:
            script = SMALL_DISK.format(folder=folder, command=shlex.join(command))
            command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL))
        assert eventually(lambda: accepts_connections(port), every=0.05)
        return Redis(port=port), Path(f"/proc/{processes[-1].pid}/root{folder}")

    yield run
    for process in processes:
        process.kill()
        process.wait(10)


def full_copies(master: Redis) -> int:
    """Return how many full copies replicas have requested."""
    stats: Any = master.info("stats")
    return int(stats["sync_full"])


@pytest.mark.parametrize("instance", ["cache", "store"])
def test_a_replica_with_a_full_disk_gets_only_a_few_full_copies(instance: str, start: Start) -> None:
    role = yaml.safe_load((ROOT / "roles/redis/vars/main.yml").read_text())
    config = role["__redis_common_config"] | role[f"__redis_{instance}_config"]
    options = [
        word
        for name in ("repl-diskless-load", "repl-diskless-sync-delay", "appendonly")
        for word in (f"--{name}", str(config[name]))
    ]
    master, _ = start(*options)
    master.set("large", os.urandom(1024**2))
    port = master.connection_pool.connection_kwargs["port"]
    replica, folder = start(*options, "--replicaof", f"127.0.0.1 {port}", small=True)
    assert eventually(lambda: replica.exists("large"), every=0.05)

    with (folder / "fill").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    before = full_copies(master)
    replica.replicaof("NO", "ONE")  # from now on it needs a full copy
    replica.replicaof("127.0.0.1", str(port))
    time.sleep(SECONDS)
    assert 1 <= full_copies(master) - before <= 2
