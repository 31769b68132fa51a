"""Starts and stops the local EC2 as a separate process."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.support.cloud.hosts import DIRECTORY
from tests.support.live.fleet import eventually
from tests.support.sockets import accepts_connections, free_port
from tools.fleet.context import ROOT, FleetError

SERVER, LOG = DIRECTORY / "server.pid", DIRECTORY / "server.log"
# Seconds after which it ends by itself, so that it cannot outlive a failed scenario.
MAX_SECONDS = 7200


def start() -> None:
    """Start the process at a free port and wait until it answers."""
    number = free_port()
    with LOG.open("w") as log:
        command = [sys.executable, "-m", "tests.support.cloud", str(number), str(MAX_SECONDS)]
        server = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    SERVER.write_text(f"{server.pid} {number}")
    started = eventually(lambda: accepts_connections(number) or server.poll() is not None, within=120)
    if not started or server.poll() is not None:
        raise FleetError(f"the local EC2 does not answer at port {number}; read its log, {LOG}")


def stop() -> None:
    """Stop the process. Another process with the same pid is not touched."""
    if not SERVER.exists():
        return
    pid = int(SERVER.read_text().split()[0])
    for number in (signal.SIGTERM, signal.SIGKILL):
        if is_server(pid):
            os.kill(pid, number)
            eventually(lambda: not is_server(pid), within=60)


def is_server(pid: int) -> bool:
    """Whether a process is the local EC2. A zombie has no command line."""
    try:
        return b"tests.support.cloud" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended
        return False


def port() -> int:
    """Return its port."""
    return int(SERVER.read_text().split()[1])
