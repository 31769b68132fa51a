"""The id of a release: time, commit and a hash of its content."""

import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

# Number of the hash's characters in an id.
LENGTH = 12


def commit(root: Path) -> str:
    """Return the commit of the tree, with a + if it has uncommitted changes, or `nogit` without git."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(root), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "--short=7", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
    except (OSError, subprocess.CalledProcessError):
        return "nogit"


def known_as(digest: str, ids: Iterable[str]) -> str | None:
    """Return the newest id with this hash, or None."""
    return max((known for known in ids if known.rpartition("-")[2] == digest[:LENGTH]), default=None)


def new(digest: str, version: str) -> str:
    """Return a new id, which sorts after all earlier ones."""
    return f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{version}-{digest[:LENGTH]}"
