#!/usr/bin/python3 -I
"""Prove that the repositories can be used. Runs as postgres, in the unit backup-check@.service.

`backup-check rehearsal` restores the newest backup of each repository and all WAL after it into a scratch folder,
checks every table and index, compares the heartbeat of the primary with the time, and removes the folder.
`backup-check verify` reads every file in each repository. With `--ended`, either removes what a killed run left.

It reads /etc/pgbackrest/backups.json, and writes each result to /var/lib/backup-check/results.json. A repository that
fails is no failure of the unit: backup-metrics exports the result, and an alert reports it.
"""

import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SETTINGS = Path("/etc/pgbackrest/backups.json")
RESULTS = Path("/var/lib/backup-check/results.json")
CONFIGURATIONS = Path("/etc/pgbackrest")
# Measured: the replayed WAL stays in the folder, so that 1.1 GB of data needed 2.4 GB.
SPACE_FACTOR = 2.5
# Part of the file system that stays free. It may be that of a running database, or of the repository.
RESERVE = 0.05
INTERVAL = 0.5
SHUTDOWN_TIMEOUT = 120
STOPPED = 143  # the exit code of the unit's SuccessExitStatus
FATAL = re.compile(r"(?:FATAL|PANIC):\s+(.*)")
# Clients that come too early get these.
EARLY = re.compile(r"the database system is|not yet accepting connections")
ERROR = re.compile(r"ERROR: (.*)")
# pgBackRest's code for a repository that it cannot read. `info` succeeds then.
UNREADABLE = 99
# What it reports for a wrong passphrase, which none of its messages names.
WRONG_PASS = re.compile(r"outside of section at line 1|CryptoError(?!\]:? unable to verify)|unable to decrypt")
# A line of verify's output.
COUNTS = re.compile(r"checked: (\d+), total valid (?:WAL|files): (\d+)")
HEARTBEAT = "select extract(epoch from at) from fleet_heartbeat"

Facts = dict[str, Any]


class CheckError(Exception):
    """A repository that cannot be used, in a sentence."""


def run(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end. What it prints may be no text, such as the name of an encrypted file."""
    own = os.environ | (environment or {})
    return subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, cwd="/", env=own)


def pgbackrest(settings: Mapping[str, Any], number: int, *words: str) -> str:
    """Run pgBackRest with this repository alone, and return its output."""
    configuration = CONFIGURATIONS / f"repository{number}.conf"
    done = run("pgbackrest", f"--config={configuration}", f"--stanza={settings['stanza']}", *words)
    if done.returncode:
        lines = (done.stderr + done.stdout).strip().splitlines() or ["no output"]
        errors = [found[1] for line in lines if (found := ERROR.search(line))]
        raise CheckError(f"pgBackRest's {words[-1]} failed: {(errors or lines)[0]}.")
    return done.stdout


def cause(message: str) -> str:
    """Return the first line of a message of pgBackRest, or what a wrong passphrase means."""
    if WRONG_PASS.search(message):
        return "vault_pgbackrest_cipher_pass is not the pass with which it was made"
    return re.sub(r"^\[\w+Error\] ", "", message.splitlines()[0]).rstrip(".:") if message.strip() else "unknown"


def newest(settings: Mapping[str, Any], number: int) -> Facts:
    """Return the newest backup."""
    stanzas = json.loads(pgbackrest(settings, number, "--output=json", "info"))
    for status in (repository["status"] for stanza in stanzas for repository in stanza.get("repo", [])):
        if status["code"] == UNREADABLE:
            raise CheckError(f"The repository cannot be read: {cause(status['message'])}.")
    backups = [backup for stanza in stanzas for backup in stanza["backup"] if not backup.get("error")]
    if not backups:
        raise CheckError("The repository has no backup. `bin/fleet backup` makes one.")
    return dict(max(backups, key=lambda backup: int(backup["timestamp"]["stop"])))


def spare(folder: Path) -> int:
    """Return how many bytes a rehearsal may use."""
    found = os.statvfs(folder)
    return int(found.f_frsize * (found.f_bavail - RESERVE * found.f_blocks))


def megabytes(size: float) -> int:
    """Return a number of bytes in megabytes, rounded up."""
    return -(-int(size) // 1024**2)


def require_space(folder: Path, size: int) -> None:
    """Refuse a rehearsal for which the disk is too small."""
    needed, free = SPACE_FACTOR * size, spare(folder)
    if free < needed:
        raise CheckError(
            f"{folder} needs {megabytes(needed)} MB for a database of {megabytes(size)} MB, and "
            f"{max(0, megabytes(free))} MB can be used: {RESERVE:.0%} of the disk stay free. Free space there, or set "
            "pgbackrest_rehearsal_folder to a folder on a larger disk."
        )


def remove(folder: Path) -> None:
    """Remove a folder, even if processes that were just killed still write into it."""
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(INTERVAL)


class Server:
    """The restored Postgres. It is reachable only through a socket of this run, and archives nothing."""

    def __init__(self, settings: Mapping[str, Any], data: Path, sockets: Path) -> None:
        self._programs = Path(settings["programs"])
        self._data = data
        self._log = data / "rehearsal.log"
        self._environment = {"PGHOST": str(sockets), "PGPORT": "5433", "PGDATABASE": "postgres"}
        rules = data / "rehearsal_hba.conf"
        rules.write_text("local all all peer\n")
        options = settings["postgres"] | {"hba_file": rules, "ident_file": data / "pg_ident.conf"}
        options |= {"unix_socket_directories": sockets, "port": 5433}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", data, *words], cwd=data, stdout=log, stderr=log
            )

    def query(self, text: str) -> tuple[int, str]:
        """Return the exit code of psql, and its output or error."""
        done = run(str(self._programs / "psql"), "-XAtqc", text, environment=self._environment)
        return done.returncode, (done.stdout or done.stderr).strip()

    def replay(self) -> None:
        """Wait until all WAL of the archive is replayed and the server accepts writes."""
        while self.query("select pg_is_in_recovery()") != (0, "f"):
            if self._process.poll() is not None:
                raise CheckError(f"The restored Postgres ended: {self._reason()}.")
            if spare(self._data) < 0:
                raise CheckError(
                    f"{self._data.parent} has too little space for the WAL after the newest backup. Make backups more "
                    "often, or set pgbackrest_rehearsal_folder to a folder on a larger disk."
                )
            time.sleep(INTERVAL)

    def check(self) -> None:
        """Check the structure of every table and index, and that each row is in its indexes."""
        words = ("--all", "--install-missing", "--heapallindexed")
        done = run(str(self._programs / "pg_amcheck"), *words, environment=self._environment)
        if done.returncode:
            lines = (done.stdout + done.stderr).strip().splitlines() or ["no output"]
            raise CheckError(f"pg_amcheck found damage in the restored data: {'; '.join(lines[:3])}.")

    def stop(self) -> None:
        """Stop the server, with a fast shutdown first."""
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(SHUTDOWN_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _reason(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines() or ["its log is empty"]
        found = [fatal for line in lines for fatal in FATAL.findall(line) if not EARLY.search(fatal)]
        return (found or lines[-1:])[0].rstrip(".")


def rehearse(settings: Mapping[str, Any], number: int, sockets: Path) -> Facts:
    """Restore the newest backup of a repository and all WAL after it, and check the data."""
    backup = newest(settings, number)
    size = int(backup["info"]["size"])
    folder = Path(settings["folder"])
    data = folder / "data"
    remove(data)
    require_space(folder, size)
    data.mkdir(mode=0o700)
    try:
        pgbackrest(settings, number, f"--set={backup['label']}", "--archive-mode=off", "restore")
        server = Server(settings, data, sockets)
        try:
            server.replay()
            age = heartbeat_age(*server.query(HEARTBEAT), time.time())
            server.check()
        finally:
            server.stop()
    finally:
        remove(data)
    facts = {"label": backup["label"], "bytes": size, "age": age}
    if age > settings["max_data_age_seconds"]:
        reason = (
            f"The restored data end {age:.0f} s before the rehearsal, and at most {settings['max_data_age_seconds']} s "
            "are allowed. Either the primary archives no WAL, or a segment in the repository is damaged."
        )
        return facts | {"ok": False, "reason": reason}
    return facts | {"ok": True, "reason": ""}


def heartbeat_age(code: int, answer: str, now: float) -> float:
    """Return how old the last heartbeat of the primary in the restored data is, in seconds."""
    if code or not answer:
        raise CheckError(f"The restored data have no heartbeat of the primary: {answer or 'the table is empty'}.")
    return max(0.0, now - float(answer))  # the clocks of two hosts differ


def verify(settings: Mapping[str, Any], number: int, _: Path) -> Facts:
    """Read every file of a repository, and compare it with its checksum."""
    text = pgbackrest(settings, number, "--log-level-console=off", "--output=text", "--verbose", "verify")
    counts = [(int(checked), int(valid), line) for line in text.splitlines() for checked, valid in COUNTS.findall(line)]
    damaged = sum(checked - valid for checked, valid, _ in counts)
    wrong = [" ".join(line.split()) for checked, valid, line in counts if checked != valid] or [" ".join(text.split())]
    ok = re.search(r"^status: ok$", text, re.MULTILINE) is not None
    reason = "" if ok else f"{damaged} files are damaged: {'; '.join(wrong)}."
    return {"ok": ok, "reason": reason, "files": sum(checked for checked, *_ in counts), "damaged": damaged}


@contextmanager
def results() -> Iterator[dict[str, dict[str, Facts]]]:
    """Yield the results of all runs, and write them back. Both kinds of check may end at the same time."""
    with RESULTS.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found: dict[str, dict[str, Facts]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        yield found
        part = RESULTS.with_suffix(".part")
        part.write_text(json.dumps(found))
        part.replace(RESULTS)


def record(kind: str, number: int, facts: Facts) -> None:
    """Write the result of a repository, and log it."""
    with results() as found:
        found.setdefault(kind, {})[str(number)] = facts
    priority, text = (6, "passed") if facts["ok"] else (3, f"failed: {facts['reason']}")
    print(f"<{priority}>{kind} of repository {number} {text} ({facts['seconds']:.0f} s)", flush=True)


def check(kind: str, settings: Mapping[str, Any], folder: Path) -> None:
    """Check each repository. The marker shows which one, if this run is killed."""
    for number in range(1, settings["repositories"] + 1):
        begin = time.time()
        (folder / "running").write_text(json.dumps([number, begin]))
        try:
            facts = CHECKS[kind](settings, number, folder)
        except CheckError as error:
            facts = {"ok": False, "reason": str(error)}
        record(kind, number, facts | {"at": time.time(), "seconds": time.time() - begin})
        (folder / "running").unlink()


def ended(kind: str, settings: Mapping[str, Any], folder: Path) -> None:
    """Remove what a killed run left, and record that it failed."""
    if kind == "rehearsal":
        remove(Path(settings["folder"]) / "data")
    marker = folder / "running"
    if marker.exists():
        number, begin = json.loads(marker.read_text())
        result = os.environ.get("SERVICE_RESULT", "unknown")
        reason = "It was stopped." if result == "success" else f"It was interrupted ({result})."
        record(kind, number, {"ok": False, "reason": reason, "at": time.time(), "seconds": time.time() - begin})


CHECKS: dict[str, Callable[[Mapping[str, Any], int, Path], Facts]] = {"rehearsal": rehearse, "verify": verify}


def main() -> None:
    kind = sys.argv[1]
    settings = json.loads(SETTINGS.read_text())
    # A stop of the unit must not leave a server and its data behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))
    action = ended if "--ended" in sys.argv else check
    action(kind, settings, Path(os.environ["RUNTIME_DIRECTORY"]))


if __name__ == "__main__":
    main()
