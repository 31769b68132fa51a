"""python -m tests.support.cloud PORT SECONDS: answer the API, keep hosts and front door in step; SIGTERM ends it, or so many seconds."""

from __future__ import annotations

import argparse
import signal
import threading

from tests.support.cloud import ec2
from tests.support.cloud.bridge import Bridge
from tests.support.cloud.door import Door
from tools.fleet.context import echo


def main() -> None:
    """Run until told to end."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cloud", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    door = Door()
    with ec2.serving(arguments.port):
        follower = threading.Thread(target=Bridge(arguments.port, door).follow, args=(over,))
        follower.start()
        echo(f"listening at 127.0.0.1:{arguments.port}")
        over.wait(arguments.seconds)
        over.set()
        follower.join(timeout=60)
        door.close()


if __name__ == "__main__":
    main()
