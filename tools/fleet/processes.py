"""Identifies the process of an Ansible run, and finds out whether that process still exists."""

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROC = Path("/proc")


def node() -> str:
    """Identify the scope in which process ids are unique: this machine since its boot, or this container."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()}/{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:  # not Linux: there is no way to check other processes
        return ""


def stat(pid: int) -> tuple[int, str]:
    """Return a process's parent and its start time in the kernel's ticks, or (0, "") if there is no such process."""
    try:
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), fields[19]
    except (OSError, IndexError, ValueError):
        return 0, ""


def this_run() -> dict[str, Any]:
    """Identify the outermost ansible-playbook process. Tasks run in its child processes."""
    pid = found = os.getpid()
    while node() and pid > 1:
        # Only the program itself or its Python: a shell or `timeout` that started it may live longer.
        try:
            words = (PROC / f"{pid}/cmdline").read_bytes().split(b"\0")[:2]
        except OSError:  # it has ended
            break
        if any(word.rpartition(b"/")[2] == b"ansible-playbook" for word in words):
            found = pid
        pid = stat(pid)[0]
    return {"node": node(), "pid": found, "started": stat(found)[1]}


def abandoned(run: Mapping[str, Any]) -> bool:
    """Whether a run was a process of this machine and has ended.

    For a run on another machine this is unknown: False.
    """
    return bool(node()) and run.get("node") == node() and stat(int(run.get("pid", 0)))[1] != run.get("started")
