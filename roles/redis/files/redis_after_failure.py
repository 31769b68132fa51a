#!/usr/bin/python3
"""Run after a Redis instance has stopped (ExecStopPost), and repair what makes its next start fail.

- A damaged append-only file, which Redis refuses to load: if the Sentinels name another master that has data, move the
  file away, so that the instance gets a full copy. Otherwise it may be the last copy. Then note what is lost, for
  `make status`.
- A full disk: a replica of the store ends when it cannot write its append-only file, and at each start it needs a full
  copy, for which its master forks. Delay its restart. Without a delay, systemd would restart it ten times a second.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

DATA, CONFIG, NOTES = Path("/var/lib/redis"), Path("/etc/redis"), Path("/run")
PASSWORDS = Path("/etc/redis-exporter.json")
CHECK_AOF = "/usr/bin/redis-check-aof"
SENTINEL_PORT = 26379
TIMEOUT, CHECK_TIMEOUT = 2, 50
FULL_DELAY, DAMAGED_DELAY = 30, 5
MIN_BYTES, MIN_FILES = 16 * 1024**2, 16


def is_full(folder: Path) -> bool:
    """Return whether Redis can hardly write there. Space that is reserved for root does not count."""
    disk = os.statvfs(folder)
    # Some file systems have no limit on the number of files, and report 0.
    return disk.f_bavail * disk.f_frsize < MIN_BYTES or disk.f_favail < MIN_FILES <= disk.f_files


def other_master(instance: str, own_address: str, sentinels: list[str]) -> tuple[str, int] | None:
    """Return the master that a majority of Sentinels finds healthy, if it is another host and has data."""
    import redis  # here, because it takes a third of a second, and each restart waits for this program

    def connect(address: str, port: int) -> redis.Redis:
        return redis.Redis(
            host=address,
            port=port,
            username="monitoring",
            password=next(iter(json.loads(PASSWORDS.read_text()).values())),
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            retry=redis.retry.Retry(redis.backoff.NoBackoff(), 0),
            decode_responses=True,
            protocol=2,
        )

    failures = (redis.RedisError, OSError, ValueError, LookupError)
    votes: Counter[tuple[str, int]] = Counter()
    for address in sentinels:
        with suppress(*failures), connect(address, SENTINEL_PORT) as sentinel:
            master = sentinel.sentinel_master(instance)
            if master["flags"] == "master":
                votes[master["ip"], master["port"]] += 1
    for (address, port), count in votes.items():
        if 2 * count > len(sentinels) and address != own_address:
            with suppress(*failures), connect(address, port) as server:
                info = server.info()
                if info["role"] == "master" and any(re.fullmatch(r"db\d+", field) for field in info):
                    return address, port
    return None


def lost_bytes(folder: Path) -> int | None:
    """Return how much of the append-only file cannot be read, or None if it is complete or does not exist."""
    manifest = folder / "appendonly.aof.manifest"
    if not folder.exists():
        return None
    check = subprocess.run(
        [CHECK_AOF, str(manifest)], capture_output=True, text=True, timeout=CHECK_TIMEOUT, check=False
    )
    if check.returncode == 0:
        return None
    size = sum(path.stat().st_size for path in folder.iterdir() if path != manifest)
    return max(0, size - sum(map(int, re.findall(r" ok_up_to=(\d+)", check.stdout))))


def follow(config: Path, address: str, port: int) -> None:
    """Make the instance a replica at its next start. Writes in place, so that the file keeps its owner."""
    kept = [line for line in config.read_text().splitlines() if not line.startswith("replicaof ")]
    config.write_text("\n".join([*kept, f"replicaof {address} {port}"]) + "\n")


def repair(instance: str, lost: int, master: tuple[str, int] | None) -> None:
    """Move a damaged file away if another host has the data. Otherwise note what is lost."""
    folder = DATA / instance / "appendonlydir"
    print(f"{folder} is damaged: {lost} bytes cannot be read", file=sys.stderr)
    if master:
        away = folder.with_name("appendonlydir.damaged")
        shutil.rmtree(away, ignore_errors=True)
        folder.rename(away)
        follow(CONFIG / f"{instance}.conf", *master)
        print(f"moved it to {away}; {instance} is copied from {master[0]}", file=sys.stderr)
    else:
        written = max(path.stat().st_mtime for path in folder.iterdir())
        (NOTES / f"redis@{instance}.damaged").write_text(json.dumps({"lost": lost, "written": written}))
        print("no other master has data, so it stays", file=sys.stderr)
        time.sleep(DAMAGED_DELAY)


def main(instance: str, own_address: str, sentinels: str) -> None:
    """Handle the end of one instance. `sentinels` has the addresses of all Sentinels, separated by commas."""
    (NOTES / f"redis@{instance}.damaged").unlink(missing_ok=True)
    if os.environ.get("SERVICE_RESULT") == "success":
        return
    # Redis exits with 1 if it cannot load its data. A crash has another code.
    if os.environ.get("EXIT_STATUS") == "1":
        lost = lost_bytes(DATA / instance / "appendonlydir")
        if lost is not None:
            repair(instance, lost, other_master(instance, own_address, sentinels.split(",")))
    if is_full(DATA / instance):
        print(f"{DATA / instance} is on a full disk: {instance} restarts after {FULL_DELAY} s", file=sys.stderr)
        time.sleep(FULL_DELAY)


if __name__ == "__main__":
    main(*sys.argv[1:])
