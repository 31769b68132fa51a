"""Probes from every host which ports of the fleet are open. inventories/shared/ports.yml has the expected ones."""

import json
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import yaml

from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT

# Connects to all addresses at the same time, because the firewall drops packets and each closed port would cost a
# timeout.
PROBE = """
import json, select, socket, sys, time
pending, reached = {}, []
for address, port in json.loads(sys.argv[1]):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((address, port))
    pending[s] = [address, port]
deadline = time.monotonic() + 2.5
while pending and (left := deadline - time.monotonic()) > 0:
    for s in select.select([], list(pending), [], left)[1]:
        target = pending.pop(s)
        if s.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            reached.append(target)
        s.close()
print(json.dumps(reached))
"""

Flow = tuple[str, str, int]
# The inventories of tests keep the default.
APP_PORT = 8000


def expected(fleet: LiveFleet) -> dict[Flow, bool]:
    """Return for each (source, destination, port) whether the port matrix opens it. Source `admin` is this machine.

    Without TLS, only the host itself reaches the application (app_tls).
    """
    result: dict[Flow, bool] = {}
    for rule in yaml.safe_load((ROOT / "inventories" / "shared" / "ports.yml").read_text())["fleet_ports"]:
        plain = rule["name"] == "app"
        port, allowed_from = (APP_PORT, []) if plain else (rule.get("port"), rule["from"])
        for destination in fleet.hosts.values():
            if rule["protocol"] != "tcp" or not destination.groups & set(rule["to"]):
                continue
            for source in fleet.hosts.values():
                allowed = source == destination or "any" in allowed_from or bool(source.groups & set(allowed_from))
                result[source.name, destination.name, port] = allowed
            result["admin", destination.name, port] = bool({"any", "admin"} & set(allowed_from))
    return result


def may_be_unused(fleet: LiveFleet) -> set[Flow]:
    """Return open flows that may have no listener.

    They are Grafana without its package, pgBackRest without backups, and the gossip of a single Alertmanager.
    """
    unused = {3000, 8432} | ({9094} if len(fleet.group("monitoring")) == 1 else set())
    return {flow for flow in expected(fleet) if flow[2] in unused}


def observed(fleet: LiveFleet) -> set[Flow]:
    """Return each (source, destination, port) that accepts connections."""
    names = {host.address: host.name for host in fleet.hosts.values()}
    targets = json.dumps(sorted({(fleet.hosts[to].address, port) for _, to, port in expected(fleet)}))

    def probe(source: str) -> set[Flow]:
        if source == "admin":
            command = [sys.executable, "-c", PROBE, targets]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        else:
            command = ["python3", "-c", PROBE, targets]
            output = fleet.run(fleet.hosts[source], shlex.join(command)).stdout
        return {(source, names[address], port) for address, port in json.loads(output)}

    sources = [*fleet.hosts, "admin"]
    with ThreadPoolExecutor(len(sources)) as pool:
        return set().union(*pool.map(probe, sources))
