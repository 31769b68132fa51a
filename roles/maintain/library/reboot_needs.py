#!/usr/bin/python
"""Tell why a host has to be rebooted."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: reboot_needs
short_description: Tell why a host has to be rebooted
description:
  - An upgrade replaces files, and what runs goes on with those that it has opened. This finds services whose program or libraries were
    replaced since they were started, a kernel that is older than the newest one installed, and the request that packages leave in /run.
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: See why a reboot is needed
  reboot_needs:
  register: needs
"""

RETURN = r"""
reasons:
  description: A phrase for each reason; empty where none is.
  returned: always
  type: list
"""

REQUESTED = Path("run/reboot-required")
# Files that packages own; what an application maps of its own release is its deploy's.
REPLACED = re.compile(r"^\S+ ..x\S* .* (/usr/\S+|/lib\S+|/s?bin/\S+) \(deleted\)$", re.MULTILINE)
SERVICE = re.compile(r"([^/]+\.service)(?:/|$)")
# Its sessions outlive an upgrade of theirs, and the package restarts its server.
NOT_ASKED = {"ssh.service"}
KERNEL = re.compile(r"^vmlinuz-(?P<version>\d+(?:\.\d+)+(?:-\d+)?)(?P<flavour>\S*)$")


def version(name: str) -> list[int]:
    """A kernel's version, to be compared."""
    return [int(number) for number in re.findall(r"\d+", name)]


def old_kernel(root: Path, running: str) -> list[str]:
    """A phrase where a newer kernel of the same flavour is installed than the one that runs; a container has none."""
    installed = [match for path in root.glob("boot/vmlinuz-*") if (match := KERNEL.match(path.name))]
    mine = KERNEL.match(f"vmlinuz-{running}")
    same = [match["version"] for match in installed if mine and match["flavour"] == mine["flavour"]]
    newest = max(same, key=version, default="")
    if not mine or not newest or version(newest) <= version(mine["version"]):
        return []
    return [f"kernel {mine['version']} runs and {newest} is installed"]


def old_services(root: Path) -> list[str]:
    """A phrase where services run with files that are no longer there."""
    found: dict[str, set[str]] = defaultdict(set)
    for process in root.glob("proc/[0-9]*"):
        try:
            unit = SERVICE.search((process / "cgroup").read_text())
            if unit and unit[1] not in NOT_ASKED:
                found[unit[1]] |= {Path(path).name for path in REPLACED.findall((process / "maps").read_text())}
        except OSError:  # it has ended meanwhile
            continue
    names = sorted(unit for unit, files in found.items() if files)
    return (
        [f"{', '.join(names)} {'runs' if len(names) == 1 else 'run'} with files that an upgrade has replaced"]
        if names
        else []
    )


def requested(root: Path) -> list[str]:
    """A phrase where a package has asked for it."""
    if not (root / REQUESTED).exists():
        return []
    packages = root / f"{REQUESTED}.pkgs"
    by = sorted(set(packages.read_text().split())) if packages.exists() else []
    return [f"{', '.join(by) or 'a package'} asks for it"]


def reasons(root: Path, running: str) -> list[str]:
    """Every reason, of what is below a root."""
    return requested(root) + old_kernel(root, running) + old_services(root)


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, reasons=reasons(Path("/"), os.uname().release))


if __name__ == "__main__":
    main()
