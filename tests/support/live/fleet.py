"""A running fleet for tests: its hosts over SSH, its databases and its front door."""

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
    """Call `probe` until its result is true, for at most `within` seconds. Return the last result.

    An assertion error or a failed request in `probe` is ignored until the time is up.
    """
    deadline = time.monotonic() + within
    while True:
        try:
            if (result := probe()) or time.monotonic() > deadline:
                return result
        except (AssertionError, httpx.HTTPError, KeyError, ValueError):
            if time.monotonic() > deadline:
                raise
        time.sleep(every)


class LiveFleet:
    """The running fleet that FLEET and INVENTORY name."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.outputs = fleet.outputs()
        self.hosts = {host.name: host for host in fleet.hosts(self.outputs)}

    @cached_property
    def app_name(self) -> str:
        """The name of the inventory's application, on its hosts and of its database."""
        path = ROOT / f"inventories/{self.fleet.inventory}/group_vars/all/application.yml"
        return str(yaml.safe_load(path.read_text())["app_name"])

    @property
    def vip(self) -> str:
        """The virtual address of the load balancers."""
        return str(self.outputs["inventory"]["all"]["vars"]["fleet_vip"])

    def group(self, name: str) -> list[Host]:
        """Return the hosts of an inventory group."""
        return [host for host in self.hosts.values() if name in host.groups]

    def run(self, host: Host, command: str, check: bool = True, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a shell command on `host` as root. A secret is `given` on standard input, because sudo logs commands."""
        result = subprocess.run(
            [*self.fleet.ssh_command(host), f"sudo sh -c {shlex.quote(command)}"],
            input=given,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or result.returncode == 0, (
            f"{host.name}: {command} ended with {result.returncode}: {result.stderr}"
        )
        return result

    def is_healthy(self, host: Host) -> bool:
        """Whether systemd has started everything on this host and no unit has failed."""
        return self.run(host, "systemctl is-system-running", check=False).stdout == "running\n"

    def sql(self, host: Host, query: str) -> str:
        """Run a query in the application's database on this host. Return psql's unaligned output."""
        return self.run(
            host, f"cd / && sudo -u postgres psql -XAtq -d {self.app_name} -c {shlex.quote(query)}"
        ).stdout.strip()

    def is_primary(self, host: Host) -> bool:
        """Whether this Postgres host accepts writes."""
        return self.sql(host, "select not pg_is_in_recovery()") == "t"

    @property
    def primary(self) -> Host:
        """The Postgres host that now accepts writes."""
        (primary,) = [host for host in self.group("postgres") if self.is_primary(host)]
        return primary

    @property
    def standbys(self) -> list[Host]:
        """The Postgres hosts that now only replicate."""
        return [host for host in self.group("postgres") if not self.is_primary(host)]

    def vip_holder(self) -> Host | None:
        """Return the load balancer that has the virtual address."""
        holders = [h for h in self.group("loadbalancers") if f" {self.vip}/" in self.run(h, "ip -o -4 address").stdout]
        return holders[0] if len(holders) == 1 else None

    def prometheus(self, path: str, **parameters: str) -> Any:
        """Query Prometheus' HTTP API and return the `data` of its answer."""
        url = f"{self.outputs['urls']['prometheus']}api/v1/{path}"
        answer = httpx.get(url, params=parameters, timeout=10, trust_env=False)
        assert answer.status_code == 200, f"{path} {parameters}: {answer.text}"
        return answer.json()["data"]

    def targets(self) -> list[dict[str, Any]]:
        """Return the targets that Prometheus scrapes."""
        return list(self.prometheus("targets", state="active")["activeTargets"])

    def targets_down(self) -> list[str]:
        """Return the targets that cannot be scraped, each with its error."""
        down = [target for target in self.targets() if target["health"] != "up"]
        return [f"{t['scrapePool']} {t['scrapeUrl']}: {t['lastError'] or t['health']}" for t in down]

    def rules(self) -> list[dict[str, Any]]:
        """Return Prometheus' rules. Assert that all of them work."""
        rules = [rule for group in self.prometheus("rules")["groups"] for rule in group["rules"]]
        assert [rule["name"] for rule in rules if rule["health"] == "err"] == []
        return rules

    def app_command(self, arguments: str, environment: dict[str, str] | None = None) -> str:
        """Run the application's command line on the first application host. Return its output."""
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
        """Run a command on `host` and parse its output as JSON."""
        return json.loads(self.run(host, command).stdout)
