"""Where the secrets of a fleet are: searches its hosts, the statistics of its services, and texts."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.support.live import secret_search
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import Host

PROGRAM = Path(secret_search.__file__).read_text()
# Every view of statistics and settings, as the superuser sees it: more than the monitoring role.
VIEWS = """
select format('select %L, v::text from %I.%I v', viewname, schemaname, viewname) from pg_views
where viewname ~ '^pg_(stat|settings|file_settings|hba|replication|shmem|prepared|cursors|locks)'
\\gexec
"""
REDIS = {"redis": (6379, 6380), "sentinel": (26379,)}
Command = tuple[list[str], dict[str, str]]


@dataclass(frozen=True)
class Found:
    """The secrets that a host has where they must not be, and what each user can read."""

    hits: set[tuple[str, str]]
    readable: set[tuple[str, str, str]]
    stored: set[str]


def secrets(fleet: LiveFleet) -> dict[str, list[str]]:
    """Return the vault. Each line of a key in PEM is as secret as the key. Certificates are public."""
    return {
        name: [line for line in str(value).splitlines() if len(line) > 11 and "-----" not in line]
        for name, value in fleet.secrets.items()
        if not name.endswith("_certificate")
    }


def commands(fleet: LiveFleet, host: Host) -> dict[str, Command]:
    """Return the commands that show what services of a host tell others, by a name of the place."""
    found: dict[str, Command] = {"systemd's properties of units": (["systemctl", "show", "--all", "*"], {})}
    if "postgres" in host.groups:
        psql = f"printf %s {shlex.quote(VIEWS)} | sudo -u postgres psql -XAtq --dbname={fleet.app_name}"
        found["Postgres' views"] = ["sh", "-c", psql], {}
    if "etcd" in host.groups:
        found["etcd's keys"] = ["etcdctl", "get", "", "--prefix"], {}
    for group, numbers in REDIS.items():
        login = {"REDISCLI_AUTH": fleet.secrets["redis_admin_password"]}
        for port in numbers if group in host.groups else ():
            for query in ("CLIENT LIST", "SLOWLOG GET -1", "ACL LOG", "INFO everything"):
                base = ["redis-cli", "-h", host.address, "-p", str(port), "--user", "admin"]
                found[f"Redis {port} {query}"] = [*base, *query.split()], login
    if "monitoring" in host.groups:
        prometheus, alertmanager = f"http://{host.address}:9090/api/v1", f"http://{host.address}:9093/api/v2"
        series = "series?match[]=%7B__name__!=%22%22%7D"
        pages = [f"{prometheus}/{page}" for page in ("status/config", "status/flags", "targets", "rules", series)]
        for page in (*pages, f"{alertmanager}/status", f"{alertmanager}/alerts"):
            found[page] = ["curl", "--silent", "--fail", "--globoff", page], {}
    return found


def search(fleet: LiveFleet, host: Host, wanted: dict[str, list[str]] | None = None) -> Found:
    """Search a host for the secrets of the vault, or for others."""
    request = {"secrets": wanted or secrets(fleet), "commands": commands(fleet, host)}
    program = f"sudo python3 -c {shlex.quote(PROGRAM)}"
    run = subprocess.run(
        [*fleet.fleet.ssh_command(host), program],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    found = json.loads(run.stdout)
    readable = {(user, name, place) for user, name, place in found["readable"]}
    return Found({(place, name) for place, name in found["hits"]}, readable, set(found["stored"]))
