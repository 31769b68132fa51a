#!/usr/bin/python
"""List the reasons why a host needs a reboot."""

import os
import re
from collections import defaultdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: reboot_needs
short_description: List the reasons why a host needs a reboot
description:
  - An upgrade replaces files, but a running process keeps the old ones open. This module finds services whose program
    or libraries were replaced after their start, a kernel that is older than the newest installed one, and the request
    for a reboot that packages leave in /run.
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: List the reasons for a reboot
  reboot_needs:
  register: needs
"""

RETURN = r"""
reasons:
  description: A phrase for each reason.
  returned: always
  type: list
"""

# `needrestart -b` finds the same services, but it also lists ssh.service because of open sessions, does not report
# /run/reboot-required, and needs 12 more packages on every host, among them all of Perl (54 MB).
REQUESTED = Path("run/reboot-required")
# Files that packages own. A deploy replaces the files of the application. In a container, the path may be only `/`.
REPLACED = re.compile(r"^\S+ ..x\S* .* (/usr/\S+|/lib\S+|/s?bin/\S+|/) \(deleted\)$", re.MULTILINE)
SERVICE = re.compile(r"([^/]+\.service)(?:/|$)")
# Its package restarts the server. Open sessions keep the old files, but end by themselves.
IGNORED = {"ssh.service"}
KERNEL = re.compile(r"^vmlinuz-(?P<version>\d+(?:\.\d+)+(?:-\d+)?)(?P<flavour>\S*)$")


def version(name: str) -> list[int]:
    """A kernel's version in a form that can be compared."""
    return [int(number) for number in re.findall(r"\d+", name)]


def old_kernel(root: Path, running: str) -> list[str]:
    """A phrase if a newer kernel of the same flavour is installed. A container has no kernel of its own."""
    installed = [match for path in root.glob("boot/vmlinuz-*") if (match := KERNEL.match(path.name))]
    mine = KERNEL.match(f"vmlinuz-{running}")
    same = [match["version"] for match in installed if mine and match["flavour"] == mine["flavour"]]
    newest = max(same, key=version, default="")
    if not mine or not newest or version(newest) <= version(mine["version"]):
        return []
    return [f"kernel {mine['version']} runs and {newest} is installed"]


def old_services(root: Path) -> list[str]:
    """A phrase if services run with files that were replaced."""
    found: dict[str, set[str]] = defaultdict(set)
    for process in root.glob("proc/[0-9]*"):
        try:
            unit = SERVICE.search((process / "cgroup").read_text())
            if unit and unit[1] not in IGNORED:
                found[unit[1]] |= {Path(path).name for path in REPLACED.findall((process / "maps").read_text())}
        except OSError:  # the process has ended
            continue
    names = sorted(unit for unit, files in found.items() if files)
    return (
        [f"{', '.join(names)} {'runs' if len(names) == 1 else 'run'} with files that an upgrade has replaced"]
        if names
        else []
    )


def requested(root: Path) -> list[str]:
    """A phrase if a package requires a reboot."""
    if not (root / REQUESTED).exists():
        return []
    packages = root / f"{REQUESTED}.pkgs"
    names = sorted(set(packages.read_text().split())) if packages.exists() else []
    return [f"required by {', '.join(names) or 'a package'}"]


def reasons(root: Path, running: str) -> list[str]:
    """All reasons, from the files below a root."""
    return requested(root) + old_kernel(root, running) + old_services(root)


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    module.exit_json(changed=False, reasons=reasons(Path("/"), os.uname().release))


if __name__ == "__main__":
    main()
