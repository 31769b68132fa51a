"""Runs on a host (`sudo python3 -`, standard library only) and prints what `make status` shows of it, as JSON."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def get(url: str) -> str:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return str(answer.read().decode())
    except OSError as error:
        # Patroni answers 503 with a body on a member that is not what the path asks for.
        return error.read().decode() if isinstance(error, urllib.error.HTTPError) else ""


def main() -> None:
    address, vip = sys.argv[1:3]
    facts: dict[str, object] = {
        "system": run("systemctl", "is-system-running"),
        "failed": [line.split()[0] for line in run("systemctl", "--failed", "--no-legend", "--plain").splitlines()],
        "roles": [],
    }
    roles: list[str] = []
    if vip and f" {vip}/" in run("ip", "-o", "-4", "address"):
        roles.append("VIP")
    if Path("/etc/patroni").is_dir():
        try:
            member = json.loads(get(f"http://{address}:8008/patroni"))
            role = "primary" if member["role"] in {"primary", "master"} else "standby"
            roles.append(f"postgres {role} ({member['state']})")
            standbys = [f"{r['application_name']}: {r['state']}, {r['sync_state']}" for r in member.get("replication", [])]
            facts["replication"] = standbys
        except (ValueError, KeyError):
            roles.append("postgres down")
    if Path("/var/lib/etcd/fleet").is_dir():
        metrics = get(f"http://{address}:2381/metrics")
        leader = re.search(r"^etcd_server_is_leader 1", metrics, re.MULTILINE)
        roles.append("etcd leader" if leader else "etcd member" if metrics else "etcd down")
    for instance, port in (("cache", 6379), ("store", 6380)):
        if Path(f"/etc/redis/{instance}.conf").exists():
            metrics = get(f"http://{address}:9121/scrape?target=redis://127.0.0.1:{port}")
            match = re.search(r'^redis_instance_info\{.*role="(\w+)"', metrics, re.MULTILINE)
            role = match[1].replace("slave", "replica") if match else "down"
            roles.append(f"{instance} {role}")
    roles += [f"release {current.resolve().name}" for current in Path("/opt").glob("*/current")]
    facts["roles"] = roles
    print(json.dumps(facts))


main()
