"""Check the control node: its Python, and its packages against the compiled requirements."""

import subprocess
import sys
from typing import Any

from plugins.control_node import ControlNodeAction

FIX = "run 'make setup', and use Ansible from .venv/bin"
# What uv would change. Offline, since pinned packages that are installed need no index.
COMPARE = (sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--offline", "--no-deps", "--color", "never")


def wrong_python(version: tuple[int, ...], minimum: str) -> list[str]:
    """A sentence if this Python is older than `minimum`."""
    if version >= tuple(int(part) for part in minimum.split(".")):
        return []
    found = ".".join(map(str, version[:3]))
    return [f"Ansible runs under Python {found}, older than preflight_python_version = {minimum}; {FIX}."]


def wrong_packages(requirements: str) -> list[str]:
    """A sentence if this Python environment lacks a pinned package, or has another version of it."""
    command = [*COMPARE, "--python", sys.executable, "--requirements", requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0 and "Would make no changes" in done.stderr:
        return []
    return [f"The control node's packages differ from {requirements}; {FIX}. uv reports: {done.stderr.strip()}"]


class ActionModule(ControlNodeAction):
    """Ansible's entry point."""

    def act(self) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        failures = wrong_python(sys.version_info[:3], self.arguments["python"]) + wrong_packages(
            self.arguments["requirements"]
        )
        return {"failures": failures}
