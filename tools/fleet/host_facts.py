"""What the probe of `make status` reads from systemd and from files of the host.

It uses only the standard library: tools/fleet/status.py sends it to the hosts together with probe.py.
"""

import json
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

TIMEOUT = 1.5
# A service that systemd restarted at least this often, and within this number of seconds, is reported.
MANY_RESTARTS, RECENT = 3, 600
# systemd's message about a unit of which the kernel killed a process, because memory was short.
OUT_OF_MEMORY = "MESSAGE_ID=fe6faa94e7774663a0da52717891d8ef"
# Written by /usr/local/sbin/upgrades-waiting.
UPGRADES = Path("/var/lib/prometheus/node-exporter/upgrades.prom")
# Written by /usr/local/sbin/backup-metrics.
BACKUPS = Path("/var/lib/prometheus/node-exporter/backups.prom")
# Written by /usr/local/sbin/certificate-metrics.
CERTIFICATES = Path("/var/lib/prometheus/node-exporter/certificates.prom")
# Written by /usr/local/sbin/site-certificate.
SITE_CERTIFICATE = Path("/var/lib/flaskfleet/site-certificate.json")
# Written by roles/nginx/tasks/maintenance_files.yml.
MAINTENANCE = Path("/var/lib/flaskfleet/maintenance.json")
# Written by /usr/local/sbin/redis-after-failure.
DAMAGED_STORE = Path("/run/redis@store.damaged")
PROCESSES = Path("/proc")

Facts = dict[str, Any]


def run(*command: str, user: str | None = None) -> str:
    """Run a command and return its output."""
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT, cwd="/", user=user)
    return result.stdout.strip()


def units(text: str) -> dict[str, str]:
    """Parse the state of each unit from `systemctl list-units --all --plain --no-legend`."""
    return {line.split()[0]: line.split()[2] for line in text.splitlines() if len(line.split()) > 2}


def drain_notes(folder: Path) -> dict[str, Facts]:
    """Return the hosts that this load balancer has drained, each with the author, time and reason."""
    found = {}
    for path in sorted(folder.glob("[!.]*")):
        with suppress(FileNotFoundError):  # undrained meanwhile
            found[path.name] = json.loads(path.read_text())
    return found


def maintenance() -> Facts:
    """Return the note about the maintenance page that users see. Empty if they see the site."""
    return dict(json.loads(MAINTENANCE.read_text())) if MAINTENANCE.exists() else {}


def systemd(settings: Mapping[str, Any]) -> Facts:
    """Query systemd's state, and find units that failed or should run."""
    states = units(run("systemctl", "list-units", "--all", "--plain", "--no-legend"))
    return {
        "system": run("systemctl", "is-system-running"),
        "failed": sorted(unit for unit, state in states.items() if state == "failed"),
        "stopped": [
            unit
            for unit in settings["units"]
            if states.get(unit if unit.endswith(".timer") else f"{unit}.service")
            not in {"active", "reloading", "failed"}
        ],
        "beat": states.get("celery-beat.service") == "active",
    }


def recent_restarts(text: str, now: float) -> dict[str, int]:
    """Parse how often systemd restarted the services that it restarts again and again, from `systemctl show`."""
    found = {}
    for block in text.split("\n\n"):
        unit = dict(line.split("=", 1) for line in block.splitlines())
        age = now - int(unit["StateChangeTimestampMonotonic"]) / 1e6
        if int(unit["NRestarts"]) >= MANY_RESTARTS and age < RECENT:
            found[unit["Id"].removesuffix(".service")] = int(unit["NRestarts"])
    return found


def restarts() -> dict[str, int]:
    """Query the services that systemd restarted several times, the last time a short while ago."""
    properties = "--property=Id,NRestarts,StateChangeTimestampMonotonic"
    return recent_restarts(run("systemctl", "show", properties, "*.service"), time.monotonic())


# Other connections of a worker than that to its broker: those to Postgres and to Sentinel.
OTHER_PORTS = {5432, 15432, 15433, 26379}
# The kernel's numbers for the states of a connection.
ESTABLISHED, LISTENING = "01", "0A"
# Seconds that a worker gets for its first connection.
GRACE = 15


def connections(process: Path) -> list[tuple[str, int, int, str]]:
    """Return the state, the local and the remote port, and the inode of each TCP connection of the host."""
    found = []
    for name in ("tcp", "tcp6"):
        for line in (process / "net" / name).read_text().splitlines()[1:]:
            _, local, remote, state, *_, inode = line.split()[:10]
            found.append((state, int(local.rpartition(":")[2], 16), int(remote.rpartition(":")[2], 16), inode))
    return found


def reaches_a_server(process: Path) -> bool:
    """Whether a process has a connection that it opened itself, other than to Postgres or Sentinel."""
    own = {re.sub(r"\D", "", str(link.readlink())) for link in (process / "fd").iterdir()}
    found = connections(process)
    served = {local for state, local, *_ in found if state == LISTENING}
    return any(
        state == ESTABLISHED and inode in own and local not in served and remote not in OTHER_PORTS
        for state, local, remote, inode in found
    )


def brokerless(units: Sequence[str]) -> list[str]:
    """Return the workers that have no connection to their broker, although they have run for a while."""
    properties = "--property=Id,MainPID,ActiveEnterTimestampMonotonic"
    text = run("systemctl", "show", properties, *(f"{unit}.service" for unit in units)) if units else ""
    found = []
    for block in filter(None, text.split("\n\n")):
        unit = dict(line.split("=", 1) for line in block.splitlines())
        age = time.monotonic() - int(unit["ActiveEnterTimestampMonotonic"]) / 1e6
        with suppress(OSError):  # the process has ended
            if unit["MainPID"] != "0" and age > GRACE and not reaches_a_server(PROCESSES / unit["MainPID"]):
                found.append(unit["Id"].removesuffix(".service"))
    return found


def killed() -> list[str]:
    """Return the units of which the kernel killed a process a short while ago, because memory was short."""
    lines = run("journalctl", "--quiet", "--output=json", "--output-fields=UNIT", f"--since=-{RECENT}s", OUT_OF_MEMORY)
    return sorted({json.loads(line)["UNIT"].removesuffix(".service") for line in lines.splitlines()})


def disks() -> str:
    """List the file systems with the use of their space and inodes, which rounds up. Read-only ones are always full."""
    return run("df", "--local", "--output=target,pcent,ipcent", "-xsquashfs", "-xiso9660", "-xerofs")


def waiting_upgrades() -> list[str]:
    """Return the packages whose upgrade waits for a maintenance."""
    text = UPGRADES.read_text() if UPGRADES.exists() else ""
    return re.findall(r'^fleet_upgrade_waiting\{package="([^"]+)"\}', text, re.MULTILINE)


def certificates() -> Facts:
    """Return the files with certificates, and when these end and begin, in seconds since 1970."""
    pattern = r'^flaskfleet_certificate_(end|begin)_seconds\{file="([^"]+)",number="(\d+)"\} (\S+)$'
    found = re.findall(pattern, CERTIFICATES.read_text(), re.MULTILINE)
    begins = {(file, number): float(time_) for what, file, number, time_ in found if what == "begin"}
    ends = [[file, float(end), begins.get((file, number), 0.0)] for what, file, number, end in found if what == "end"]
    return {"ends": ends, "now": time.time()}


def site_certificate() -> Facts:
    """Return since when the CA has given this load balancer no certificate, and why. Empty if all is well."""
    return dict(json.loads(SITE_CERTIFICATE.read_text())) if SITE_CERTIFICATE.exists() else {}


def backups() -> Facts:
    """Return when the last backup in each repository ended, in seconds since 1970, and what has proven that it is good.

    0 means that a repository has no backup, or was never proven. A limit is the age of one that is too old.
    """
    text = BACKUPS.read_text()

    def by_repository(name: str) -> dict[str, float]:
        lines = re.findall(rf'^flaskfleet_backup_{name}{{repository="(\d+)"}} (\S+)$', text, re.MULTILINE)
        return {number: float(value) for number, value in lines}

    def limit(name: str) -> float:
        return float(re.findall(rf"^flaskfleet_backup_{name} (\S+)$", text, re.MULTILINE)[0])

    return {
        "last": by_repository("last_seconds"),
        # The repositories that are folders of this host.
        "local": sorted(by_repository("repository_free_ratio")),
        "limit": limit("max_age_seconds"),
        "rehearsed": by_repository("rehearsal_last_seconds"),
        "restorable": by_repository("rehearsal_ok"),
        "rehearsal_due": by_repository("rehearsal_due_seconds"),
        "verified": by_repository("verify_last_seconds"),
        "intact": by_repository("verify_ok"),
        "verify_due": by_repository("verify_due_seconds"),
        "now": time.time(),
    }


def outdated() -> list[str]:
    """Return the services whose program an upgrade has replaced while it runs. A deploy replaces other files."""
    found = set()
    for process in PROCESSES.glob("[0-9]*"):
        with suppress(OSError):  # the process has ended
            # In a container, the path may be only `/`.
            replaced = re.match(r"/((usr/)?(s?bin|lib)/.*)? \(deleted\)$", str((process / "exe").readlink()))
            unit = re.search(r"([^/]+)\.service(/|$)", (process / "cgroup").read_text()) if replaced else None
            # Open sessions keep the old program, but end by themselves.
            found |= {unit[1]} if unit and unit[1] != "ssh" else set()
    return sorted(found)


def damaged_store() -> Facts:
    """Return how much of the store's append-only file cannot be read. Empty if it is complete."""
    return dict(json.loads(DAMAGED_STORE.read_text())) if DAMAGED_STORE.exists() else {}


def release() -> str | None:
    """Return the release that the application or worker would use at its next start."""
    return next((current.resolve().name for current in Path("/opt").glob("*/current")), None)
