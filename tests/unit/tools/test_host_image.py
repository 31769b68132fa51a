"""The image of a sandbox host has the archive of every package that the roles install."""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from tools.checks.plan import ROOT

# Packages that are not in Debian.
FOREIGN = {"grafana"}


def tasks(value: Any) -> Iterator[dict[str, Any]]:
    """Yield every task in a task file, also those in blocks."""
    for task in value or []:
        yield task
        for part in ("block", "rescue", "always"):
            yield from tasks(task.get(part))


def installed_by_roles() -> set[str]:
    """Return the packages that roles name literally in `apt` tasks, or in the variables these tasks use."""
    found: set[str] = set()
    for path in ROOT.glob("roles/*/tasks/*.yml"):
        role = path.parents[1]
        variables = (role / "vars/main.yml").read_text() if (role / "vars/main.yml").exists() else ""
        for task in tasks(yaml.safe_load(path.read_text())):
            names = task.get("ansible.builtin.apt", {}).get("name", [])
            for name in [names] if isinstance(names, str) else names:
                for variable in re.findall(r"__\w+(?:packages|services)", name):
                    line = re.search(rf"^{variable}: (.*)$", variables, re.MULTILINE)
                    found |= set(re.findall(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)+", line[1])) if line else set()
                if re.fullmatch(r"[a-z0-9.+-]+", name):
                    found.add(name)
    return found - FOREIGN


def test_the_image_has_the_archives_of_the_packages_that_roles_install() -> None:
    script = (ROOT / "bin/host-image").read_text()
    lists = re.findall(r'^(?:installed|downloaded)="([^"]+)"', script, re.MULTILINE)
    prepared = {package for text in lists for package in text.split()}
    wanted = installed_by_roles()
    assert len(wanted) > 15
    assert wanted - prepared == set()
