"""The probe of `make status`: runs on a host (`sudo python3 -IS -`) and prints its facts as JSON.

It uses only the standard library. Its only argument is the settings as JSON. They have no secrets: the probe reads the
Redis password from a file on the host. All checks run at the same time. A check that has no answer after TIMEOUT yields
null.
"""

import base64
import importlib
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tools.fleet import host_facts

DRAINED = Path("/var/lib/flaskfleet/drain")
PASSWORDS = Path("/etc/redis-exporter.json")
# What this host's member of etcd serves, and the folder of the host's certificate.
ETCD_SETTINGS, TLS = Path("/etc/systemd/system/etcd.service.d/fleet.conf"), Path("/etc/fleet-tls")
REDIS_PORTS = {"cache": 6379, "store": 6380}
SENTINEL_PORT, ETCD_PORT, PATRONI_PORT, HTTPS_PORT = 26379, 2379, 8008, 443
HAPROXY_PORT = 8404
SERVER_ERROR = 500
DEPLOY_LOCK = "/flaskfleet/deploy/lock"
# One row:
# - primary: whether this server accepts writes;
# - standbys: the state of each one, whether commits wait for it, and its lag;
# - slots: replication slots that no longer keep the WAL that their standby needs;
# - unused: replication slots that nobody uses;
# - archiver: when it last archived WAL, and whether it has failed since. Null if archiving is off.
REPLICATION = """
select json_build_object('primary', not pg_is_in_recovery(), 'standbys', coalesce((
    select json_object_agg(application_name, json_build_array(state, sync_state, pg_wal_lsn_diff(
        case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
        replay_lsn)::bigint))
    from pg_stat_replication), '{}'), 'slots', coalesce((
    select json_object_agg(slot_name, wal_status)
    from pg_replication_slots where wal_status in ('lost', 'unreserved')), '{}'), 'unused', coalesce((
    select json_agg(slot_name) from pg_replication_slots where slot_type = 'physical' and not active), '[]'),
    'archiver', (
    select json_build_object('last', extract(epoch from last_archived_time)::float8,
        'failing', last_failed_time > coalesce(last_archived_time, '-infinity'),
        'timeout', (select setting::int from pg_settings where name = 'archive_timeout'),
        'now', extract(epoch from now())::float8)
    from pg_stat_archiver where current_setting('archive_mode') <> 'off'))
"""

SEVERAL = ("", "etcd", "candidates", "app")
Facts = dict[str, Any]


def send(address: str, port: int, request: str, shutdown: bool = False, tls: Any = None) -> str:
    """Send a request and return the answer up to its end.

    `shutdown` closes our side of the connection, so that Redis closes its side after the last answer. `tls` is an
    SSLContext.
    """
    with socket.create_connection((address, port), timeout=host_facts.TIMEOUT) as plain:
        connection = tls.wrap_socket(plain, server_hostname=address) if tls else plain
        connection.sendall(request.encode())
        if shutdown:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def http(address: str, port: int, request: str, content: str = "", tls: Any = None) -> tuple[int, str]:
    """Return the status and body of an HTTP answer. Importing urllib would take longer than this script."""
    text = f"{request} HTTP/1.0\r\nHost: {address}\r\nContent-Length: {len(content)}\r\n\r\n{content}"
    headers, _, body = send(address, port, text, tls=tls).partition("\r\n\r\n")
    return int(headers.split()[1]), body


def application(address: str, port: int, path: str) -> Facts:
    """Request the health path. Any status below 500 shows that the application works."""
    status = http(address, port, f"GET {path}")[0]
    return {"app": status < SERVER_ERROR, "health": [path, status]}


def front_page(domain: str, port: int = HTTPS_PORT) -> int:
    """Return the status of the front page, as users get it from this host's nginx."""
    ssl = importlib.import_module("ssl")  # only here, because importing it takes longer than most checks
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=host_facts.TIMEOUT) as plain,
        context.wrap_socket(plain, server_hostname=domain) as connection,
    ):
        connection.sendall(f"GET / HTTP/1.0\r\nHost: {domain}\r\n\r\n".encode())
        return int(connection.recv(65536).split()[1])


def redis(address: str, port: int, *commands: str) -> str:
    """Send commands to a Redis or Sentinel as the user `monitoring`, and return the answers."""
    password = json.loads(PASSWORDS.read_text())[f"redis://monitoring@127.0.0.1:{port}"]
    lines = [f"{command}\r\n" for command in (f"AUTH monitoring {password}", *commands)]
    return send(address, port, "".join(lines), shutdown=True)


def replication(info: str) -> Facts | None:
    """Parse a Redis' role and the lag of its replicas, by address, from INFO replication."""
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
    """Query a Redis' role."""
    return replication(redis(address, port, "INFO replication"))


def closed_proxies(address: str) -> list[str]:
    """Query the services for which HAProxy has no server."""
    query = "/metrics?scope=backend&metrics=haproxy_backend_active_servers"
    text = http(address, HAPROXY_PORT, f"GET {query}")[1]
    return sorted(re.findall(r'proxy="(cache|store|postgres-primary)"} 0$', text, re.MULTILINE))


def queues(address: str, keys: Sequence[str]) -> dict[str, int]:
    """Query the lengths of the queues in the store. A replica has them, too."""
    answer = redis(address, REDIS_PORTS["store"], *(f"LLEN {key}" for key in keys))
    return dict(zip(keys, map(int, re.findall(r"^:(\d+)\r", answer, re.MULTILINE)), strict=False))


def votes(answer: str) -> int | None:
    """Parse how many Sentinels a Sentinel sees, itself included, from SENTINEL CKQUORUM."""
    seen = [int(number) for number in re.findall(r"(\d+) usable Sentinels", answer)]
    return min(seen, default=None)


def promotable(answer: str) -> int:
    """Count the replicas that a Sentinel would promote, from the answer to SENTINEL REPLICAS."""
    values = iter(line for line in answer.split("\r\n") if not re.fullmatch(r"[*$]\d+|\+OK", line))
    replicas: list[dict[str, str]] = []
    for name, value in zip(values, values, strict=False):
        if name == "name":
            replicas.append({})
        replicas[-1][name] = value
    good = {"flags": "slave", "master-link-status": "ok"}
    return sum(good.items() <= replica.items() and replica["slave-priority"] != "0" for replica in replicas)


def known(answer: str) -> list[str]:
    """Parse the addresses that a Sentinel remembers, from SENTINEL REPLICAS and SENTINEL SENTINELS."""
    return sorted(set(re.findall(r"\r\nip\r\n\$\d+\r\n(\S+)", answer)))


def ask_etcd(address: str, path: str, query: Facts) -> Facts:
    """Return the answer of this host's member of etcd. By TLS, if it serves that, with the host's certificate."""
    context = None
    if ETCD_SETTINGS.exists() and "https://" in ETCD_SETTINGS.read_text():
        context = importlib.import_module("ssl").create_default_context(cafile=str(TLS / "ca.pem"))
        context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
    return dict(json.loads(http(address, ETCD_PORT, f"POST {path}", json.dumps(query), context)[1]))


def etcd(address: str) -> Facts:
    """Query whether this etcd member knows a leader, whether it leads, its alarms, and the addresses of all members."""
    status = ask_etcd(address, "/v3/maintenance/status", {})
    leader = status.get("leader", "0")
    members = ask_etcd(address, "/v3/cluster/member/list", {"linearizable": False})
    alarms = re.findall(r"alarm:\s*(\w+)", " ".join(status.get("errors", [])))
    return {
        "etcd": leader != "0",
        "etcd_leads": leader == status["header"]["member_id"],
        "etcd_alarms": sorted(set(alarms)),
        "etcd_members": [re.split("[/:]+", member["peerURLs"][0])[1] for member in members["members"]],
    }


def deploying(address: str) -> Facts:
    """Read the holder of the deploy lock from etcd. Empty if there is none."""
    key = base64.b64encode(DEPLOY_LOCK.encode()).decode()
    found = ask_etcd(address, "/v3/kv/range", {"key": key, "serializable": True}).get("kvs", [])
    return dict(json.loads(base64.b64decode(found[0]["value"]))) if found else {}


def postgres() -> Facts:
    """Query the server's role and its standbys."""
    # The psql on PATH is Debian's wrapper, which searches for servers first and takes three times as long.
    psql = max(Path("/usr/lib/postgresql").glob("*/bin/psql"))
    return dict(json.loads(host_facts.run(str(psql), "-XAtqc", REPLICATION, user="postgres")))


def patroni(address: str) -> Facts:
    """Query Patroni. If its Postgres does not run, it answers 503, but with the same body."""
    member = json.loads(http(address, PATRONI_PORT, "GET /patroni")[1])
    flags = {"paused": "pause", "pending": "pending_restart", "failsafe": "failsafe_mode_is_active"}
    return {"state": member["state"]} | {name: bool(member.get(key)) for name, key in flags.items()}


def candidates(address: str) -> Facts:
    """Query Patroni's members, and the candidates for a promotion: the standbys that etcd lists as synchronous."""
    members = json.loads(http(address, PATRONI_PORT, "GET /cluster")[1])["members"]
    standbys = [member["name"] for member in members if member["role"] == "sync_standby"]
    return {"candidates": standbys, "patroni_members": [member["name"] for member in members]}


def synchronous_mode(address: str) -> bool:
    """Query whether commits wait for a standby (postgres_synchronous_mode)."""
    return bool(json.loads(http(address, PATRONI_PORT, "GET /config")[1])["synchronous_mode"])


def choose_checks(settings: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """Return the checks for this host by fact. The results of SEVERAL are several facts."""
    address, groups = settings["address"], set(settings["groups"])
    checks: dict[str, Callable[[], Any]] = {
        "": lambda: host_facts.systemd(settings),
        "restarts": host_facts.restarts,
        "killed": host_facts.killed,
        "disks": host_facts.disks,
        "upgrades": host_facts.waiting_upgrades,
        "outdated": host_facts.outdated,
        "brokerless": lambda: host_facts.brokerless(settings["workers"]),
    }
    if "loadbalancers" in groups:
        checks["drained"] = lambda: host_facts.drain_notes(DRAINED)
        checks["front_page"] = lambda: front_page(settings["domain"])
        checks["maintenance"] = host_facts.maintenance
        checks["site_certificate"] = host_facts.site_certificate
        if settings["vip"]:
            checks["vip"] = lambda: f" {settings['vip']}/" in host_facts.run("ip", "-o", "-4", "address")
    if groups & {"app", "workers"}:
        checks["release"] = host_facts.release
        checks["no_server"] = lambda: closed_proxies(address)
    if "app" in groups:
        checks["app"] = lambda: application(address, int(settings["port"]), settings["health"])
    if "postgres" in groups:
        checks |= {"postgres": postgres, "patroni": lambda: patroni(address), "candidates": lambda: candidates(address)}
        checks["synchronous_mode"] = lambda: synchronous_mode(address)
    if host_facts.CERTIFICATES.exists():
        checks["certificates"] = host_facts.certificates
    if "backup" in groups and host_facts.BACKUPS.exists():
        checks["backups"] = host_facts.backups
    if "etcd" in groups:
        checks |= {"etcd": lambda: etcd(address), "deploying": lambda: deploying(address)}
    for name in ["cache", "store"] if "redis" in groups else ["store"] if "sentinel" in groups else []:
        checks[name] = partial(instance, address, REDIS_PORTS[name])
    if "redis" in groups and settings["queues"]:
        checks["queues"] = lambda: queues(address, settings["queues"])
    if groups & {"redis", "sentinel"}:
        checks["damaged_store"] = host_facts.damaged_store
    if "sentinel" in groups:
        ask = partial(redis, address, SENTINEL_PORT)
        queries = [f"SENTINEL {kind} {name}" for kind in ("REPLICAS", "SENTINELS") for name in REDIS_PORTS]
        checks["sentinel_knows"] = lambda: known(ask(*queries))
        checks["sentinel"] = lambda: votes(ask("SENTINEL CKQUORUM cache", "SENTINEL CKQUORUM store"))
        checks["promotable"] = lambda: {name: promotable(ask(f"SENTINEL REPLICAS {name}")) for name in REDIS_PORTS}
    return checks


def collect(checks: Mapping[str, Callable[[], Any]]) -> Facts:
    """Run all checks at the same time and return their facts."""
    facts: Facts = {"system": "unresponsive"} | dict.fromkeys(filter(None, checks))

    def run_check(name: str, check: Callable[[], Any]) -> None:
        try:
            value = check()
        except (OSError, ValueError, LookupError, TypeError, subprocess.SubprocessError):
            return
        facts.update(value if name in SEVERAL else {name: value})

    threads = [threading.Thread(target=run_check, args=item, daemon=True) for item in checks.items()]
    deadline = time.monotonic() + host_facts.TIMEOUT + 0.2
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return dict(facts)


if __name__ == "__main__":
    print(json.dumps(collect(choose_checks(json.loads(sys.argv[1])))))
