"""Ports of this machine."""

import itertools
import os
import random
import re
import socket
from contextlib import suppress

PORTS_PER_WORKER = 1000


def own_ports() -> range:
    """Return the ports of this process's own, apart from those of the other pytest workers.

    All are below 32768, the first port that the kernel gives to a connection. On such a port nginx could not listen.
    """
    worker = int(re.sub(r"\D", "", os.environ.get("PYTEST_XDIST_WORKER", "gw0")))
    first = 20_000 + worker % 12 * PORTS_PER_WORKER
    return range(first, first + PORTS_PER_WORKER)


candidates = itertools.cycle(random.sample(own_ports(), PORTS_PER_WORKER))


def free_port() -> int:
    """Return a port on which nothing listens. The next calls return other ones."""
    for port in itertools.islice(candidates, PORTS_PER_WORKER):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise RuntimeError(f"All ports of {own_ports()} are in use.")


def accepts_connections(port: int) -> bool:
    """Whether a local port accepts connections."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
