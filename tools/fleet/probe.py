"""Runs on a host (`sudo python3 -IS -`, standard library alone) and prints, as JSON, what `make status` shows of it.

Its one argument has settings, as JSON, and no secret is among them: the password for Redis is read where it lies, on the host.
Everything is asked at the same time, and what has not answered after PATIENCE is not there: its fact is null.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

PATIENCE = 1.5
DRAINED = Path("/var/lib/flaskfleet/drain")
PASSWORDS = Path("/etc/redis-exporter.json")
REDIS_PORTS = {"cache": 6379, "store": 6380}
SENTINEL_PORT, ETCD_PORT = 26379, 2379
DEPLOY_LOCK = "/flaskfleet/deploy/lock"
# One row: whether this server takes writes, and of each standby its state, whether commits wait for it, and how far it is behind.
REPLICATION = """
select json_build_object('primary', not pg_is_in_recovery(), 'standbys', coalesce((
    select json_object_agg(application_name, json_build_array(state, sync_state, pg_wal_lsn_diff(
        case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end, replay_lsn)::bigint))
    from pg_stat_replication), '{}'))
"""

Facts = dict[str, Any]


def run(*command: str, user: str | None = None) -> str:
    """What a command prints."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd="/", user=user)
    return result.stdout.strip()


def ask(address: str, port: int, question: str, last: bool = False) -> str:
    """What a server answers until it hangs up; Redis does so once it knows that the question was the last."""
    with socket.create_connection((address, port), timeout=PATIENCE) as connection:
        connection.sendall(question.encode())
        if last:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def http(address: str, port: int, request: str, content: str = "") -> tuple[int, str]:
    """Status and body of an answer; urllib would take longer to load than this whole script."""
    question = f"{request} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {len(content)}\r\n\r\n{content}"
    headers, _, body = ask(address, port, question).partition("\r\n\r\n")
    return int(headers.split()[1]), body


def redis(address: str, port: int, *commands: str) -> str:
    """What a Redis or a Sentinel answers, asked as its user `monitoring`."""
    password = json.loads(PASSWORDS.read_text())[f"redis://monitoring@127.0.0.1:{port}"]
    return ask(
        address, port, "".join(f"{command}\r\n" for command in (f"AUTH monitoring {password}", *commands)), last=True
    )


def units(text: str) -> dict[str, str]:
    """The state of each unit, of `systemctl list-units --all --plain --no-legend`."""
    return {line.split()[0]: line.split()[2] for line in text.splitlines() if len(line.split()) > 2}


def replication(info: str) -> Facts | None:
    """A Redis' role, and how far its replicas are behind by their addresses, of INFO replication."""
    facts = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    if facts.get("role") not in {"master", "slave"}:
        return None
    if facts["role"] == "slave":
        return {"master": False, "linked": facts.get("master_link_status") == "up"}
    copies = [
        dict(part.split("=", 1) for part in facts[name].split(",")) for name in facts if re.fullmatch(r"slave\d+", name)
    ]
    online = [copy for copy in copies if copy["state"] == "online"]
    behind = {copy["ip"]: max(0, int(facts["master_repl_offset"]) - int(copy["offset"])) for copy in online}
    return {"master": True, "replicas": len(online), "behind": behind}


def instance(address: str, port: int) -> Facts | None:
    """What a Redis is."""
    return replication(redis(address, port, "INFO replication"))


def votes(answer: str) -> int | None:
    """How many Sentinels a Sentinel sees, itself among them, of SENTINEL CKQUORUM."""
    seen = [int(number) for number in re.findall(r"(\d+) usable Sentinels", answer)]
    return min(seen, default=None)


def notes(folder: Path) -> dict[str, Facts]:
    """Which hosts are drained on this load balancer: by whom, when and why."""
    return {
        path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*")) if not path.name.startswith(".")
    }


def systemd(settings: Mapping[str, Any]) -> Facts:
    """How systemd is, and which units are not as they should be."""
    states = units(run("systemctl", "list-units", "--all", "--plain", "--no-legend"))
    return {
        "system": run("systemctl", "is-system-running"),
        "failed": sorted(unit for unit, state in states.items() if state == "failed"),
        "stopped": [
            unit for unit in settings["units"] if states.get(f"{unit}.service") not in {"active", "reloading", "failed"}
        ],
        "beat": states.get("celery-beat.service") == "active",
    }


def holds(vip: str) -> bool:
    """Whether this host answers for the virtual address."""
    return f" {vip}/" in run("ip", "-o", "-4", "address")


def release() -> str | None:
    """The release that a start of the application or its worker would use."""
    return next((current.resolve().name for current in Path("/opt").glob("*/current")), None)


def etcd(address: str) -> Facts:
    """Whether this member of etcd knows a leader, and whether it is the leader."""
    status = json.loads(http(address, ETCD_PORT, "POST /v3/maintenance/status")[1])
    leader = status.get("leader", "0")
    return {"etcd": leader != "0", "etcd_leads": leader == status["header"]["member_id"]}


def deploying(address: str) -> Facts:
    """Who has the lock of deploys, of a member of etcd; empty where nobody has."""
    key = base64.b64encode(DEPLOY_LOCK.encode()).decode()
    found = json.loads(
        http(address, ETCD_PORT, "POST /v3/kv/range", json.dumps({"key": key, "serializable": True}))[1]
    ).get("kvs", [])
    return dict(json.loads(base64.b64decode(found[0]["value"]))) if found else {}


def postgres() -> Facts:
    """What the server says of itself."""
    # The psql on PATH is a script of Debian's that looks for servers first: three times as much work.
    psql = max(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    return dict(json.loads(run(str(psql), "-XAtqc", REPLICATION, user="postgres")))


def patroni(address: str) -> Facts:
    """What Patroni says of itself. On a member that does not run it answers 503, with a body all the same."""
    member = json.loads(http(address, 8008, "GET /patroni")[1])
    return {
        "state": member["state"],
        "paused": bool(member.get("pause")),
        "failsafe": bool(member.get("failsafe_mode_is_active")),
    }


def questions(settings: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """What there is to ask on this host, by fact; an answer that is a dictionary of several facts has no name of its own."""
    address, groups = settings["address"], set(settings["groups"])
    asked: dict[str, Callable[[], Any]] = {"": lambda: systemd(settings)}
    if "loadbalancers" in groups:
        asked["drained"] = lambda: notes(DRAINED)
        if settings["vip"]:
            asked["vip"] = lambda: holds(settings["vip"])
    if groups & {"app", "workers"}:
        asked["release"] = release
    if "app" in groups:
        asked["app"] = lambda: http(address, 8000, f"GET {settings['health']}")[0] == 200
    if "postgres" in groups:
        asked |= {"postgres": postgres, "patroni": lambda: patroni(address)}
    if "etcd" in groups:
        asked |= {"etcd": lambda: etcd(address), "deploying": lambda: deploying(address)}
    for name in ["cache", "store"] if "redis" in groups else ["store"] if "sentinel" in groups else []:
        asked[name] = partial(instance, address, REDIS_PORTS[name])
    if "sentinel" in groups:
        asked["sentinel"] = lambda: votes(
            redis(address, SENTINEL_PORT, "SENTINEL CKQUORUM cache", "SENTINEL CKQUORUM store")
        )
    return asked


def learn(asked: Mapping[str, Callable[[], Any]]) -> Facts:
    """Ask everything at once."""
    facts: Facts = {"system": "unresponsive"} | dict.fromkeys(filter(None, asked))

    def answer(name: str, question: Callable[[], Any]) -> None:
        try:
            value = question()
        except (OSError, ValueError, LookupError, TypeError, subprocess.SubprocessError):
            return
        facts.update(value if name in {"", "etcd"} else {name: value})

    threads = [threading.Thread(target=answer, args=item, daemon=True) for item in asked.items()]
    deadline = time.monotonic() + PATIENCE + 0.2
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(facts)


if __name__ == "__main__":
    print(json.dumps(learn(questions(json.loads(sys.argv[1])))))
