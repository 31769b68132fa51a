"""Repairs that only the sandbox needs."""

import ipaddress
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT

SCRIPT = ROOT / "terraform" / "modules" / "sandbox_host" / "host.sh"


@contextmanager
def twin(fleet: LiveFleet, address: str) -> Iterator[str]:
    """Create what a killed engine leaves: a network namespace with a host's address on the fleet's bridge."""
    link = f"twin-{fleet.fleet.name}"[:15]
    mac = "02:42:" + ":".join(f"{int(part):02x}" for part in address.split("."))
    bridge = json.loads(ip("-json", "route", "get", address))[0]["dev"]
    ip("netns", "add", link)
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", link)
        ip("link", "set", link, "master", bridge, "up")
        ip("-n", link, "link", "set", "eth0", "address", mac, "up")
        ip("-n", link, "address", "add", f"{address}/24", "dev", "eth0")
        yield link
    finally:
        ip("netns", "delete", link)


def ip(*arguments: str) -> str:
    """Run iproute2 on this machine."""
    return subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can create network namespaces")
def test_a_network_namespace_that_a_killed_engine_left_is_disconnected(fleet: LiveFleet, tmp_path: Path) -> None:
    address = str(ipaddress.ip_address(fleet.vip) + 60)
    for key in fleet.fleet.directory.glob("id_ed25519*"):
        shutil.copy2(key, tmp_path)
    environment = os.environ | {
        "FLEET": fleet.fleet.name,
        "HOST": "spare",
        "ADDRESS": address,
        "NETWORK": f"flaskfleet-{fleet.fleet.name}",
        "OWNER": str(ROOT),
        "STATE_DIRECTORY": str(tmp_path),
    }
    with twin(fleet, address) as link:
        try:
            subprocess.run([SCRIPT, "create"], env=environment, check=True)
            assert link not in ip("-brief", "link")
        finally:
            subprocess.run([SCRIPT, "destroy"], env=environment, check=True)
