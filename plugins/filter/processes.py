"""Which process a run is, and whether one that left its name somewhere is still alive."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PROC = Path("/proc")


def node() -> str:
    """Where process numbers mean the same: this machine since its boot, or this container."""
    try:
        boot = (PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{platform.node()}/{boot}/{(PROC / 'self/ns/pid').readlink()}"
    except OSError:  # not Linux: nobody can say anything of a process but itself
        return ""


def stat(pid: int) -> tuple[int, str]:
    """The parent of a process and when it began, in the kernel's ticks; (0, "") where there is none."""
    try:
        fields = (PROC / f"{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[1]), fields[19]
    except (OSError, IndexError, ValueError):
        return 0, ""


def this_run(_: object = None) -> dict[str, Any]:
    """The process of the whole run: tasks are done by its children."""
    pid = found = os.getpid()
    while node() and pid > 1:
        # As Python's script or by itself; a shell or `timeout` that has started it may outlive it.
        words = (PROC / f"{pid}/cmdline").read_bytes().split(b"\0")[:2]
        if any(word.rpartition(b"/")[2] == b"ansible-playbook" for word in words):
            found = pid
        pid = stat(pid)[0]
    return {"node": node(), "pid": found, "started": stat(found)[1]}


def abandoned(run: Mapping[str, Any]) -> bool:
    """Whether a run was one of this machine's processes and is dead. Of another machine's nobody knows here."""
    return bool(node()) and run.get("node") == node() and stat(int(run.get("pid", 0)))[1] != run.get("started")


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, Any]:
        """The filters by name."""
        return {"this_run": this_run, "abandoned": abandoned}
