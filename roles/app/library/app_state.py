#!/usr/bin/python
"""Read which releases a host has, which is current, and what its services were started with."""

import hashlib
import re
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: app_state
short_description: Read which releases a host has, which is current, and what its services were started with
description:
  - When a service starts, its unit writes the checksums of the files that it reads to C(/run/SERVICE/fingerprint). The
    module reads these checksums. A service that does not run has no such file.
options:
  home:
    description: The application's folder. It need not exist.
    type: path
    required: true
  etc:
    description: Folder of the service's settings. It need not exist.
    type: path
    required: true
  require:
    description: Release that must be current, and that all running services must have been started with.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Read the state of the host
  app_state:
    home: /opt/news
    etc: /etc/news
"""

RETURN = r"""
installed:
  description: Complete releases, oldest first.
  returned: always
  type: list
dependencies:
  description: By release, the key of the dependencies that it was installed with.
  returned: always
  type: dict
incomplete:
  description: Folders of releases that an interrupted run left half installed.
  returned: always
  type: list
current:
  description: The release that the services use at their next start, empty if there is none.
  returned: always
  type: str
settings:
  description: Names of the saved settings files of the last run that succeeded.
  returned: always
  type: list
set_up:
  description: SHA-1 of the setup commands that have run (C(.setup)), empty if none has.
  returned: always
  type: str
socket:
  description: SHA-1 of the unit that the open socket was made from, empty if it is closed.
  returned: always
  type: str
services:
  description: By running service, the SHA-1 of its fingerprint (C(files)) and of its release.env (C(release)).
  returned: always
  type: dict
running:
  description: By running service, the installed release that it was started with, empty if it is none of them.
  returned: always
  type: dict
address:
  description: Where this host requests its web service according to its own socket unit, empty without one.
  returned: always
  type: str
  sample: http://127.0.0.1:8000
health:
  description: Path of the health page according to the host's own settings of gunicorn, empty without them.
  returned: always
  type: str
"""


# The services' runtime directories are below this folder.
RUN = Path("/run")
SOCKET = Path("/etc/systemd/system/app.socket")
SERVICES = ("app", "celery-worker", "celery-beat")
# The processes of role processes, which are instances of template units.
PROCESSES = "app-*@*/fingerprint"


def releases(home: Path) -> tuple[dict[str, str], list[str]]:
    """Complete releases with the key of their dependencies, and incomplete ones."""
    complete, incomplete = {}, []
    for folder in sorted(path for path in home.glob("releases/*") if path.is_dir()):
        if (mark := folder / ".complete").is_file():
            complete[folder.name] = "".join(mark.read_text().split()[1:2])
        else:
            incomplete.append(folder.name)
    return complete, incomplete


def checksum(path: Path) -> str:
    """The SHA-1 of a file, empty if there is none."""
    return hashlib.sha1(path.read_bytes()).hexdigest() if path.is_file() else ""


def started_with(fingerprint: Path) -> dict[str, str]:
    """The checksums of a service's fingerprint."""
    sums = dict(reversed(line.split(None, 1)) for line in fingerprint.read_text().splitlines())
    release = next((value for name, value in sums.items() if name.endswith("/release.env")), "")
    return {"files": checksum(fingerprint), "release": release}


def release_sum(release: str) -> str:
    """The SHA-1 of a release's release.env."""
    return hashlib.sha1(f"APP_RELEASE={release}\n".encode()).hexdigest()


def setting(path: Path, pattern: str) -> str:
    """The first match in a file, empty if there is none. The role has written the file, so its form is known."""
    found = re.search(pattern, path.read_text()) if path.is_file() else None
    return found[1] if found else ""


def differs(found: dict[str, Any], release: str) -> str:
    """Why the host does not run a release, in a sentence. Empty if it does, or if no release is required."""
    wrong = [service for service, state in found["services"].items() if state["release"] != release_sum(release)]
    if not release or (found["current"] == release and not wrong):
        return ""
    return f"{' and '.join(wrong) or 'the link `current`'} has another release than {release}"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "home": {"type": "path", "required": True},
            "etc": {"type": "path", "required": True},
            "require": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    home = Path(module.params["home"])
    current = home / "current"
    complete, incomplete = releases(home)
    names = {release_sum(release): release for release in complete}
    port = setting(SOCKET, r"ListenStream=\S+:(\d+)")
    marks = {service: RUN / service / "fingerprint" for service in SERVICES}
    marks |= {mark.parent.name: mark for mark in sorted(RUN.glob(PROCESSES))}
    found: dict[str, Any] = {
        "installed": list(complete),
        "dependencies": complete,
        "incomplete": incomplete,
        "current": current.readlink().name if current.is_symlink() else "",
        "settings": sorted(path.name for path in home.glob(".settings/*")),
        "set_up": checksum(home / ".setup"),
        "socket": checksum(RUN / "app.socket.fingerprint"),
        "services": {service: started_with(mark) for service, mark in marks.items() if mark.is_file()},
    }
    found |= {
        "running": {service: names.get(state["release"], "") for service, state in found["services"].items()},
        "address": f"http://127.0.0.1:{port}" if port else "",
        "health": setting(Path(module.params["etc"]) / "gunicorn.conf.py", r'"PATH_INFO": "([^"]*)"'),
    }
    if reason := differs(found, module.params["require"]):
        module.fail_json(msg=reason, **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
