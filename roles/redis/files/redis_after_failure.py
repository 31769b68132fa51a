#!/usr/bin/python3
"""Run after a Redis instance has stopped (ExecStopPost), and delay its restart if its disk is full.

A replica of the store ends when it cannot write its append-only file, and at each start it needs a full copy, for which
its master forks. Without a delay, systemd would restart it ten times a second.
"""

import os
import sys
import time
from pathlib import Path

DATA = Path("/var/lib/redis")
DELAY = 30
MIN_BYTES, MIN_FILES = 16 * 1024**2, 16


def is_full(folder: Path) -> bool:
    """Return whether Redis can hardly write there. Space that is reserved for root does not count."""
    disk = os.statvfs(folder)
    # Some file systems have no limit on the number of files, and report 0.
    return disk.f_bavail * disk.f_frsize < MIN_BYTES or disk.f_favail < MIN_FILES <= disk.f_files


def main(instance: str) -> None:
    """Handle the end of one instance."""
    if os.environ.get("SERVICE_RESULT") == "success":
        return
    if is_full(DATA / instance):
        print(f"{DATA / instance} is on a full disk: {instance} restarts after {DELAY} s", file=sys.stderr)
        time.sleep(DELAY)


if __name__ == "__main__":
    main(sys.argv[1])
