"""The API and its hosts' bridge as a process beside the scenario."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.support.cloud.hosts import DIRECTORY
from tests.support.live.fleet import eventually
from tools.fleet.context import ROOT, FleetError

SERVER, LOG = DIRECTORY / "server.pid", DIRECTORY / "server.log"
# It ends by itself after so long, whatever becomes of the scenario.
LIFE = 7200


def start() -> None:
    """Start it at a free port, and wait until it answers.

    Raises:
        FleetError: it does not.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = int(free.getsockname()[1])
    with LOG.open("w") as log:
        command = [sys.executable, "-m", "tests.support.cloud", str(number), str(LIFE)]
        server = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    SERVER.write_text(f"{server.pid} {number}")
    if not eventually(lambda: answers(number) or server.poll() is not None, within=120) or server.poll() is not None:
        raise FleetError(f"the local EC2 does not answer at port {number}; its log: {LOG}")


def stop() -> None:
    """End it; a number that another process has by now is left alone."""
    if not SERVER.exists():
        return
    pid = int(SERVER.read_text().split()[0])
    for sign in (signal.SIGTERM, signal.SIGKILL):
        if is_server(pid):
            os.kill(pid, sign)
            eventually(lambda: not is_server(pid), within=60)


def is_server(pid: int) -> bool:
    """Whether a process is the API; one that has ended and waits for its parent has no command line."""
    command = Path(f"/proc/{pid}/cmdline")
    return command.exists() and b"tests.support.cloud" in command.read_bytes()


def port() -> int:
    """Where it answers."""
    return int(SERVER.read_text().split()[1])


def answers(number: int) -> bool:
    """Whether somebody accepts connections at a port of this machine."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", number), timeout=1):
        return True
    return False
