"""Records the state of every host during a drill. An agent on each host reports it over SSH."""

import json
import shlex
import subprocess
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

AGENT = Path(__file__).with_name("agent.py").read_text()
# Seconds after which a host without new samples counts as not answering.
STALE = 3.0
# A killed host does not close its connection, so ssh has to detect that.
KEEPALIVE = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"]


class Sample(NamedTuple):
    """One fact that a host reported."""

    t: float
    host: str
    fact: str
    value: Any


class Observer:
    """Records the samples of every host inside the context."""

    def __init__(self, fleet: LiveFleet) -> None:
        self.fleet = fleet
        self.samples: list[Sample] = []
        self._latest: dict[tuple[str, str], Sample] = {}
        self._agents: dict[str, subprocess.Popen[str]] = {}
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._follow, args=(host,), daemon=True) for host in self.fleet.hosts.values()
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for agent in list(self._agents.values()):
            agent.kill()
        for thread in self._threads:
            thread.join(timeout=5)

    def between(self, begin: float, end: float) -> list[Sample]:
        """Return the samples of a period."""
        return [sample for sample in list(self.samples) if begin <= sample.t <= end]

    def now(self) -> dict[str, dict[str, Any]]:
        """Return the latest facts of each host, without those that are too old."""
        facts: dict[str, dict[str, Any]] = defaultdict(dict)
        oldest = time.time() - STALE
        for (host, fact), sample in list(self._latest.items()):
            if sample.t > oldest:
                facts[host][fact] = sample.value
        return facts

    def _follow(self, host: Host) -> None:
        settings = json.dumps(self._settings(host))
        command = [*self.fleet.fleet.ssh_command(host), f"sudo python3 -c {shlex.quote(AGENT)}"]
        while not self._stopped.is_set():
            # Popen flushes its buffer on exit too, possibly to a closed connection.
            with (
                suppress(BrokenPipeError),
                subprocess.Popen(
                    [command[0], *KEEPALIVE, *command[1:]],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                ) as agent,
            ):
                self._agents[host.name] = agent
                assert agent.stdin
                assert agent.stdout
                try:
                    agent.stdin.write(settings + "\n")
                    agent.stdin.flush()
                    for line in agent.stdout:
                        report = json.loads(line)
                        sample = Sample(report["t"], host.name, report["fact"], report["value"])
                        self.samples.append(sample)
                        self._latest[sample.host, sample.fact] = sample
                except (BrokenPipeError, ValueError):
                    agent.kill()
            self._stopped.wait(0.5)

    def _settings(self, host: Host) -> dict[str, Any]:
        """Return the agent's settings for a host, which depend on its groups."""
        health = {"app": f"http://{host.address}:8000/readyz", "etcd": f"http://{host.address}:2381/health"}
        redis = {"redis": {"cache": 6379, "store": 6380}, "sentinel": {"store": 6380}}
        return {
            "address": host.address,
            "vip": self.fleet.vip if "loadbalancers" in host.groups else "",
            "postgres": "postgres" in host.groups,
            "health": {group: url for group, url in health.items() if group in host.groups},
            "redis": {
                name: port for group, ports in redis.items() if group in host.groups for name, port in ports.items()
            },
            "password": self.fleet.secrets["redis_admin_password"],
        }
