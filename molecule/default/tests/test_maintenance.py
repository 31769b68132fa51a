"""The page that users see during maintenance, on every load balancer."""

import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from tests.support.live.commands import Command
from tests.support.live.fleet import LiveFleet, eventually

# A user outside of the fleet and of fleet_admin_networks: another address of a load balancer.
USER = "198.51.100.7"


@contextmanager
def user(fleet: LiveFleet) -> Iterator[Callable[[str], str]]:
    """A client at an address of its own, on the load balancer that has the virtual address."""
    host = fleet.vip_holder()
    assert host
    fleet.run(host, f"ip address add {USER}/32 dev lo")

    def get(path: str) -> str:
        return fleet.run(host, f"curl -ksSi --interface {USER} https://127.0.0.1{path}").stdout

    try:
        yield get
    finally:
        fleet.run(host, f"ip address del {USER}/32 dev lo")


def test_maintenance_shows_users_a_page_until_it_is_switched_off(
    fleet: LiveFleet, site: httpx.Client, command: Command
) -> None:
    hosts = fleet.group("loadbalancers")
    with user(fleet) as get:
        assert get("/lb-health").startswith("HTTP/2 200")
        assert not get("/").startswith("HTTP/2 503")
        try:
            result = command("maintenance", "on", "--message", "Back at 14:00.", "--retry-after", "90")
            assert result.returncode == 0, result.stdout
            # This machine is in fleet_admin_networks, so its output has a command that shows the page.
            (shown,) = re.findall(r"curl .* https://\S+/", " ".join(result.stdout.split()))
            page = subprocess.run(shlex.split(shown), capture_output=True, text=True, check=True).stdout
            assert "Back at 14:00." in page
            assert command("maintenance", "on", "--message", 'a "quote"').returncode == 1
            play = ["ansible-playbook", "-i", f"inventories/{fleet.fleet.inventory}", "site.yml", "--tags", "nginx"]
            assert fleet.fleet.run(*play, quiet=True).returncode == 0
            for host in hosts:
                fleet.run(host, "systemctl restart nginx")
            page = eventually(lambda: get("/"), within=5)
            assert page.startswith("HTTP/2 503")
            assert "retry-after: 90" in page
            assert "Back at 14:00." in page
            assert get("/lb-health").startswith("HTTP/2 200")
            # The fleet and administrators.
            assert site.get("/").status_code == 200
            status = command("status")
            assert status.returncode == 1
            assert re.search(r"users see the maintenance page since \S+Z \(.+: Back at 14:00\.\)", status.stdout)
            metric = "flaskfleet_maintenance_since_seconds"
            assert eventually(lambda: fleet.prometheus("query", query=metric)["result"], within=60)
        finally:
            assert command("maintenance", "off").returncode == 0
        assert not get("/").startswith("HTTP/2 503")
    assert "maintenance page" not in command("status").stdout
