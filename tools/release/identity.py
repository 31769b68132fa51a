"""Which id a release has: time, commit and the hash of what goes in, issued once."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

# Characters of the hash in an id.
LENGTH = 12


def commit(root: Path) -> str:
    """Return the commit of the tree, with a + where it has changed since; `nogit` where git does not keep it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=7", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "nogit"


def known_as(digest: str, ids: Iterable[str]) -> str | None:
    """Return the newest of the ids that was issued for this hash."""
    return max((known for known in ids if known.rpartition("-")[2] == digest[:LENGTH]), default=None)


def issue(digest: str, root: Path) -> str:
    """Return a new id, which sorts behind all earlier ones."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{commit(root)}-{digest[:LENGTH]}"
