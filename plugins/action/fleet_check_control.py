"""Check the control node: its Python, and the versions of its tools against the compiled requirements."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from packaging.requirements import Requirement

FIX = "run 'make setup', and Ansible from .venv/bin"


def installed(name: str) -> str | None:
    """The version of a distribution in this Python environment."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def wrong_python(version: tuple[int, ...], least: str) -> list[str]:
    """A sentence when this Python is older than `least`."""
    if version >= tuple(int(part) for part in least.split(".")):
        return []
    return [
        f"Ansible runs under Python {'.'.join(map(str, version[:3]))}, and preflight_python_version asks for {least} or newer; {FIX}."
    ]


def wrong_versions(requirements: str, version_of: Callable[[str], str | None] = installed) -> list[str]:
    """A sentence for each pinned distribution that is absent or of another version."""
    failures = []
    for line in requirements.splitlines():
        if not line or line.startswith(("#", " ", "-")):
            continue
        pin = Requirement(line.rstrip(" \\"))
        if pin.marker and not pin.marker.evaluate():
            continue
        found = version_of(pin.name)
        if found is None:
            failures.append(
                f"{pin.name} is not installed on the control node, and requirements/control.txt pins {pin.specifier}; {FIX}."
            )
        elif not pin.specifier.contains(found, prereleases=True):
            failures.append(
                f"{pin.name} is {found} on the control node, and requirements/control.txt pins {pin.specifier}; {FIX}."
            )
    return failures


class ActionModule(ActionBase):  # type: ignore[misc]  # Ansible has no types
    """Ansible's entry point."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the failures; the role decides what to do about them."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self._task.args
        requirements = Path(arguments["requirements"]).read_text()
        return result | {
            "failures": wrong_python(sys.version_info[:3], arguments["python"]) + wrong_versions(requirements)
        }
