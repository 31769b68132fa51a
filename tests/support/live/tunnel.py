"""An SSH tunnel to a server that listens only on a socket file of its host."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tools.fleet.context import Fleet, Host


@contextmanager
def tunnel(fleet: Fleet, host: Host, path: str) -> Iterator[int]:
    """Forward a local port to a socket file on `host`. Yield the port."""
    port = free_port()
    forward = ["-N", "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{port}:{path}"]
    ssh, *rest = fleet.ssh_command(host)
    running = subprocess.Popen([ssh, *forward, *rest])
    try:
        assert eventually(lambda: accepts_connections(port)), f"no tunnel to {path} on {host.name}"
        yield port
    finally:
        running.terminate()
        running.wait(10)
