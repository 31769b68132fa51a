#!/usr/bin/python
"""Say which releases a host has, which is current, and what its services were started with."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: app_state
short_description: Say which releases a host has, which is current, and what its services were started with
description:
  - The truth about a service is what it has read at its start, which its unit wrote down then (C(RUN/SERVICE/fingerprint)); what does not
    run has no such file.
options:
  home:
    description: The application's folder. It need not exist.
    type: path
    required: true
  require:
    description: Release that is to be current, and that all services which run are to have been started with.
    type: str
    default: ""
  services:
    description: Units to look at, without their suffix.
    type: list
    elements: str
    default: [app, celery-worker, celery-beat]
  run:
    description: Where the services' runtime directories are.
    type: path
    default: /run
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Look what stands on the host
  app_state:
    home: /opt/news
"""

RETURN = r"""
installed:
  description: Whole releases, oldest first.
  returned: always
  type: list
dependencies:
  description: By release, the key of the dependencies that it was installed with.
  returned: always
  type: dict
left:
  description: Folders of releases that are not whole, of an interrupted run.
  returned: always
  type: list
current:
  description: The release that a start of the services would use, empty where there is none.
  returned: always
  type: str
settings:
  description: Names of the files with settings that are kept, as those of the last run that ended well.
  returned: always
  type: list
set_up:
  description: SHA-1 of what the database was given (C(.setup)), empty where it was given nothing.
  returned: always
  type: str
socket:
  description: SHA-1 of what the service's open socket was made from, empty where it is closed.
  returned: always
  type: str
services:
  description: By running service, C(files), the SHA-1 of its fingerprint, and C(release), that of the release.env which it has read.
  returned: always
  type: dict
"""


def releases(home: Path) -> tuple[dict[str, str], list[str]]:
    """Whole releases with the key of their dependencies, and what is not whole."""
    whole, left = {}, []
    for folder in sorted(path for path in home.glob("releases/*") if path.is_dir()):
        if (mark := folder / ".complete").is_file():
            whole[folder.name] = "".join(mark.read_text().split()[1:2])
        else:
            left.append(folder.name)
    return whole, left


def checksum(path: Path) -> str:
    """The SHA-1 of a file, empty where there is none."""
    return hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else ""


def started_with(fingerprint: Path) -> dict[str, str]:
    """What a service was started with."""
    sums = dict(reversed(line.split(None, 1)) for line in fingerprint.read_text().splitlines())
    release = next((value for name, value in sums.items() if name.endswith("/release.env")), "")
    return {"files": checksum(fingerprint), "release": release}


def differs(found: dict[str, Any], release: str) -> str:
    """What does not run a release, in a sentence; empty where all does, or none is asked for."""
    read = hashlib.sha1(f"APP_RELEASE={release}\n".encode()).hexdigest()
    wrong = [service for service, state in found["services"].items() if state["release"] != read]
    if not release or (found["current"] == release and not wrong):
        return ""
    return f"{' and '.join(wrong) or 'the link `current`'} has another release than {release}"


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "require": {"type": "str", "default": ""},
            "services": {"type": "list", "elements": "str", "default": ["app", "celery-worker", "celery-beat"]},
            "run": {"type": "path", "default": "/run"},
        },
        supports_check_mode=True,
    )
    home, run = Path(module.params["home"]), Path(module.params["run"])
    current = home / "current"
    whole, left = releases(home)
    marks = {service: run / service / "fingerprint" for service in module.params["services"]}
    found: dict[str, Any] = {
        "installed": list(whole),
        "dependencies": whole,
        "left": left,
        "current": current.readlink().name if current.is_symlink() else "",
        "settings": sorted(path.name for path in home.glob(".settings/*")),
        "set_up": checksum(home / ".setup"),
        "socket": checksum(run / "app.socket.fingerprint"),
        "services": {service: started_with(mark) for service, mark in marks.items() if mark.is_file()},
    }
    if said := differs(found, module.params["require"]):
        module.fail_json(msg=said, **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
