"""Who is what at every moment of a drill: an agent on each host tells, over a connection that is made again when it breaks."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

AGENT = Path(__file__).with_name("agent.py").read_text()
# A host that has said nothing for so long is not known to be well.
STALE = 3.0
# Over this the connection to a host counts as broken: a killed host closes nothing.
ALIVE = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"]


class Sample(NamedTuple):
    """One observation of a host by itself."""

    t: float
    host: str
    what: str
    value: Any


class Observer:
    """Follows every host of the fleet while it is entered."""

    def __init__(self, fleet: LiveFleet) -> None:
        self.fleet = fleet
        self.samples: list[Sample] = []
        self._latest: dict[tuple[str, str], Sample] = {}
        self._agents: dict[str, subprocess.Popen[str]] = {}
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._follow, args=(host,), daemon=True) for host in self.fleet.hosts.values()
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for agent in list(self._agents.values()):
            agent.kill()
        for thread in self._threads:
            thread.join(timeout=5)

    def between(self, begin: float, end: float) -> list[Sample]:
        """The samples of a stretch of time."""
        return [sample for sample in list(self.samples) if begin <= sample.t <= end]

    def now(self) -> dict[str, dict[str, Any]]:
        """What each host said last, by host and kind, without what is too old to be true."""
        seen: dict[str, dict[str, Any]] = defaultdict(dict)
        oldest = time.time() - STALE
        for (host, what), sample in list(self._latest.items()):
            if sample.t > oldest:
                seen[host][what] = sample.value
        return seen

    def _follow(self, host: Host) -> None:
        settings = json.dumps(self._settings(host))
        command = [*self.fleet.fleet.ssh_command(host), f"sudo python3 -c {shlex.quote(AGENT)}"]
        while not self._over.is_set():
            # Also leaving Popen writes: what was not sent yet, to a connection that may be gone.
            with suppress(BrokenPipeError), subprocess.Popen(
                [command[0], *ALIVE, *command[1:]], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            ) as agent:  # fmt: skip
                self._agents[host.name] = agent
                assert agent.stdin
                assert agent.stdout
                try:
                    agent.stdin.write(settings + "\n")
                    agent.stdin.flush()
                    for line in agent.stdout:
                        self._take(host, line)
                except (BrokenPipeError, ValueError):
                    agent.kill()
            self._over.wait(0.5)

    def _take(self, host: Host, line: str) -> None:
        told = json.loads(line)
        sample = Sample(told["t"], host.name, told["what"], told["value"])
        self.samples.append(sample)
        self._latest[sample.host, sample.what] = sample

    def _settings(self, host: Host) -> dict[str, Any]:
        """What the agent of a host is to watch, by the host's groups."""
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
