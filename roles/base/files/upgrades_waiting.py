#!/usr/bin/python3 -I
"""Write the upgrades that unattended-upgrades leaves to playbooks/maintain.yml, for the node exporter.

They are the upgrades of the packages on its own list (Unattended-Upgrade::Package-Blacklist). Ansible copies this file
as a template.
"""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

METRICS = Path("/var/lib/prometheus/node-exporter/upgrades.prom")
NAME = "fleet_upgrade_waiting"
UPGRADE = re.compile(r"^Inst (\S+) \[", re.MULTILINE)


def run(*command: str) -> str:
    """Run a command and return its output."""
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300).stdout


def waiting(simulated: str, excluded: Iterable[str]) -> list[str]:
    """Return the excluded packages that apt would upgrade. Like unattended-upgrades, match the beginning of a name."""
    patterns = [re.compile(pattern) for pattern in excluded if pattern]
    return [name for name in UPGRADE.findall(simulated) if any(pattern.match(name) for pattern in patterns)]


def render(packages: Iterable[str]) -> str:
    """Return the metrics: a line for each package."""
    head = f"# HELP {NAME} Packages whose upgrade waits for playbooks/maintain.yml.\n# TYPE {NAME} gauge\n"
    return head + "".join(NAME + '{package="' + package + '"} 1\n' for package in packages)


def main() -> None:
    excluded = run("apt-config", "dump", "--format=%v%n", "Unattended-Upgrade::Package-Blacklist")
    simulated = run("apt-get", "--simulate", "--quiet=2", "--with-new-pkgs", "upgrade")
    part = METRICS.with_suffix(".part")
    part.write_text(render(waiting(simulated, excluded.splitlines())))
    part.chmod(0o644)
    part.replace(METRICS)


if __name__ == "__main__":
    main()
