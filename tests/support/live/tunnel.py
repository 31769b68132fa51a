"""An SSH tunnel to a server that listens only on a socket file of its host."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.live.fleet import eventually
from tools.fleet.context import Fleet, Host


@contextmanager
def tunnel(fleet: Fleet, host: Host, path: str) -> Iterator[int]:
    """Forward a local port to a socket file on `host`. Yield the port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:{path}"]
    ssh, *rest = fleet.ssh_command(host)
    running = subprocess.Popen([ssh, *forward, *rest])

    def listens() -> bool:
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        assert eventually(listens), f"no tunnel to {path} on {host.name}"
        yield port
    finally:
        running.terminate()
        running.wait(10)
