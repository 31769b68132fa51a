"""A running fleet as tests see it: its hosts over SSH, its databases, its front door."""

from __future__ import annotations

import json
import shlex
import subprocess
import time
from collections.abc import Callable
from functools import cached_property
from typing import Any, TypeVar

import httpx
import yaml

from tools.fleet.context import ROOT, Fleet, Host

T = TypeVar("T")


def eventually(probe: Callable[[], T], within: float = 10.0, every: float = 0.2) -> T:
    """Call `probe` until it returns something true, at most `within` seconds; return its last answer.

    An assertion error or a failed request of the probe counts as "not yet" until the time is up.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            if (answer := probe()) or time.monotonic() > deadline:
                return answer
        except (AssertionError, httpx.HTTPError, KeyError, ValueError):
            if time.monotonic() > deadline:
                raise
        time.sleep(every)


class LiveFleet:
    """The fleet that FLEET and INVENTORY name, which must be up."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.outputs = fleet.outputs()
        self.hosts = {host.name: host for host in fleet.hosts(self.outputs)}

    @cached_property
    def app_name(self) -> str:
        """What the inventory's application is called on its hosts, and its database."""
        path = ROOT / f"inventories/{self.fleet.inventory}/group_vars/all/application.yml"
        return str(yaml.safe_load(path.read_text())["app_name"])

    @property
    def vip(self) -> str:
        """The load balancers' virtual address."""
        return str(self.outputs["inventory"]["all"]["vars"]["fleet_vip"])

    def group(self, name: str) -> list[Host]:
        """The hosts of an inventory group."""
        return [host for host in self.hosts.values() if name in host.groups]

    def run(self, host: Host, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command on `host` as root."""
        result = subprocess.run(
            [*self.fleet.ssh_command(host), f"sudo sh -c {shlex.quote(command)}"],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or result.returncode == 0, (
            f"{host.name}: {command} ended with {result.returncode}: {result.stderr}"
        )
        return result

    def sql(self, host: Host, query: str) -> str:
        """Run one query in the application's database on exactly this host; return psql's unaligned output."""
        return self.run(
            host, f"cd / && sudo -u postgres psql -XAtq -d {self.app_name} -c {shlex.quote(query)}"
        ).stdout.strip()

    def is_primary(self, host: Host) -> bool:
        """Whether this Postgres host takes writes."""
        return self.sql(host, "select not pg_is_in_recovery()") == "t"

    @property
    def primary(self) -> Host:
        """The Postgres host that takes writes right now."""
        (primary,) = [host for host in self.group("postgres") if self.is_primary(host)]
        return primary

    @property
    def standbys(self) -> list[Host]:
        """The Postgres hosts that only replicate right now."""
        return [host for host in self.group("postgres") if not self.is_primary(host)]

    def vip_holder(self) -> Host | None:
        """The load balancer that answers for the virtual address."""
        holders = [h for h in self.group("loadbalancers") if f" {self.vip}/" in self.run(h, "ip -o -4 address").stdout]
        return holders[0] if len(holders) == 1 else None

    def prometheus(self, path: str, **parameters: str) -> Any:
        """The `data` of an answer of Prometheus' HTTP API."""
        url = f"{self.outputs['urls']['prometheus']}api/v1/{path}"
        answer = httpx.get(url, params=parameters, timeout=10, trust_env=False)
        assert answer.status_code == 200, f"{path} {parameters}: {answer.text}"
        return answer.json()["data"]

    def app_command(self, arguments: str, environment: dict[str, str] | None = None) -> str:
        """Run the application's command line on its first host; return what it printed."""
        given = " ".join(f"{name}={shlex.quote(value)}" for name, value in (environment or {}).items())
        return self.run(self.group("app")[0], f"{given} /usr/local/sbin/{self.app_name} {arguments}").stdout.strip()

    @cached_property
    def secrets(self) -> dict[str, str]:
        """The inventory's secrets by name, without their prefix."""
        vault = f"inventories/{self.fleet.inventory}/group_vars/all/vault.yml"
        result = self.fleet.run("ansible-vault", "view", vault, quiet=True)
        assert result.returncode == 0, result.stderr
        return {name.removeprefix("vault_"): value for name, value in yaml.safe_load(result.stdout).items()}

    def json_of(self, host: Host, command: str) -> Any:
        """What a command on `host` printed, as JSON."""
        return json.loads(self.run(host, command).stdout)
