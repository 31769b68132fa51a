#!/usr/bin/python3 -I
"""Write what the repositories contain, for the node exporter and for `make status`.

Reads /etc/pgbackrest/backups.json: the stanza, the folders of the repositories on this host by number, and the ages
after which a backup, a rehearsal or a verify is too old. The results of rehearsals and of verify are those of
backup-check.
"""

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/pgbackrest/backups.json")
RESULTS = Path("/var/lib/backup-check/results.json")
# systemd touches the file of a timer when the timer is started first, and whenever it fires.
TIMERS = Path("/var/lib/systemd/timers")
METRICS = Path("/var/lib/prometheus/node-exporter/backups.prom")
PREFIX = "flaskfleet_backup"
HELP = {
    "last_seconds": "When the last backup ended. 0 if there is none.",
    "oldest_seconds": "When the oldest backup ended: the database can go back to this time.",
    "max_age_seconds": "Age after which the last backup is too old.",
    "repository_ok": "Whether pgBackRest can read the repository.",
    "repository_bytes": "Size of all backups in the repository.",
    "repository_free_ratio": "Free part of the file system of the repository.",
    "rehearsal_last_seconds": "When the last rehearsal of a restore ended. 0 if there was none.",
    "rehearsal_due_seconds": "When a rehearsal becomes overdue.",
    "rehearsal_ok": "Whether the last rehearsal restored data that are complete and recent.",
    "rehearsal_duration_seconds": "How long the last rehearsal took.",
    "rehearsal_data_age_seconds": "How old the data were at the end of the last rehearsal.",
    "rehearsal_bytes": "Size of the database that the last rehearsal restored.",
    "verify_last_seconds": "When the last verify of the repository ended. 0 if there was none.",
    "verify_due_seconds": "When a verify of the repository becomes overdue.",
    "verify_ok": "Whether the last verify found every file intact.",
    "verify_duration_seconds": "How long the last verify took.",
    "verify_damaged_files": "Damaged files that the last verify found.",
}
# Names of metrics, by the names in the results.
PROOFS = {
    "ok": "ok",
    "seconds": "duration_seconds",
    "age": "data_age_seconds",
    "bytes": "bytes",
    "damaged": "damaged_files",
}
Samples = Iterator[tuple[str, dict[str, str], float]]


def info(stanza: str) -> list[dict[str, Any]]:
    """Return what pgBackRest knows about the stanza. Empty if it does not answer."""
    command = ["pgbackrest", f"--stanza={stanza}", "--log-level-console=off", "info", "--output=json"]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=170, cwd="/", user="postgres", group="postgres"
    )
    return list(json.loads(done.stdout)) if done.returncode == 0 else []


def free(folder: str) -> float:
    """Return the free part of a file system, as a user other than root sees it."""
    found = os.statvfs(folder)
    return found.f_bavail / (found.f_blocks - found.f_bfree + found.f_bavail)


def proofs(settings: Mapping[str, Any], results: Mapping[str, Any], number: int) -> Samples:
    """Yield the last rehearsal and the last verify of a repository, and when the next ones are overdue."""
    labels = {"repository": str(number)}
    for kind in ("rehearsal", "verify"):
        result = results.get(kind, {}).get(str(number), {})
        last = result.get("at", 0)
        yield f"{kind}_last_seconds", labels, last
        if due := overdue_at(kind, settings[f"max_{kind}_age_seconds"], last):
            yield f"{kind}_due_seconds", labels, due
        for key, name in PROOFS.items():
            if result.get(key) is not None:
                yield f"{kind}_{name}", labels, float(result[key])


def overdue_at(kind: str, age: float, last: float) -> float:
    """Return when a rehearsal or a verify becomes overdue. 0 if it was never scheduled.

    The age of a backup does not tell how long a repository exists: with a short `keep_days`, its oldest backup is
    always younger than the limit.
    """
    timer = TIMERS / f"stamp-backup-check@{kind}.timer"
    begun = last or (timer.stat().st_mtime if timer.exists() else 0)
    return begun and begun + age


def samples(settings: Mapping[str, Any], found: list[dict[str, Any]], results: Mapping[str, Any]) -> Samples:
    """Yield the metrics: name, labels and value."""
    yield "max_age_seconds", {}, settings["max_age_seconds"]
    stanza = found[0] if found else {"repo": [], "backup": []}
    states = {repository["key"]: repository["status"]["code"] for repository in stanza.get("repo", [])}
    for number in range(1, settings["repositories"] + 1):
        labels = {"repository": str(number)}
        backups = [b for b in stanza.get("backup", []) if b["database"]["repo-key"] == number and not b.get("error")]
        ends = [backup["timestamp"]["stop"] for backup in backups]
        # 2 means that there is no backup yet.
        yield "repository_ok", labels, float(states.get(number) in (0, 2))
        yield "last_seconds", labels, max(ends, default=0)
        if ends:
            yield "oldest_seconds", labels, min(ends)
            yield "repository_bytes", labels, sum(backup["info"]["repository"]["delta"] for backup in backups)
        if folder := settings["folders"].get(str(number)):
            yield "repository_free_ratio", labels, free(folder)
        yield from proofs(settings, results, number)


def render(found: Samples) -> str:
    """Return the text of the metrics."""
    lines: dict[str, list[str]] = {}
    for name, labels, value in found:
        inside = "{" + ",".join(f'{key}="{text}"' for key, text in labels.items()) + "}" if labels else ""
        lines.setdefault(name, []).append(f"{PREFIX}_{name}{inside} {value:.15g}\n")
    return "".join(
        f"# HELP {PREFIX}_{name} {HELP[name]}\n# TYPE {PREFIX}_{name} gauge\n{''.join(own)}"
        for name, own in lines.items()
    )


def main() -> None:
    settings = json.loads(SETTINGS.read_text())
    part = METRICS.with_suffix(f".{os.getpid()}.part")
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    part.write_text(render(samples(settings, info(settings["stanza"]), results)))
    part.chmod(0o644)
    part.replace(METRICS)


if __name__ == "__main__":
    main()
