"""Command line: `python -m tests.support.cloud PORT SECONDS` runs the local EC2, for this long or until SIGTERM."""

import argparse
import signal
import threading

from tests.support.cloud import ec2
from tests.support.cloud.bridge import Bridge
from tests.support.cloud.load_balancer import LoadBalancer
from tools.fleet.context import echo


def main() -> None:
    """Run the API, the bridge and the load balancer until they are stopped."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.cloud", description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    arguments = parser.parse_args()
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    load_balancer = LoadBalancer()
    with ec2.serving(arguments.port):
        bridge = threading.Thread(target=Bridge(arguments.port, load_balancer).follow, args=(stopped,))
        bridge.start()
        echo(f"listening at 127.0.0.1:{arguments.port}")
        stopped.wait(arguments.seconds)
        stopped.set()
        bridge.join(timeout=60)
        load_balancer.close()


if __name__ == "__main__":
    main()
