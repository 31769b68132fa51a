#!/usr/bin/python
"""Update apt's lists, and name the sources that cannot be read."""

import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: apt_lists
short_description: Update apt's lists, and name the sources that cannot be read
description:
  - M(ansible.builtin.apt) fails if one of the sources cannot be read, also if nothing comes from it. Before that it
    tries five times, each with apt's own retries and timeouts, which takes minutes while all other hosts wait.
  - This module tries once. It tries again only if that was quick and the failure may pass. Then it warns about each
    source that cannot be read, with apt's reason. It fails only if O(packages) cannot be installed because of them.
  - After a failure the lists count as old, so that the next run tries again.
options:
  timeout:
    description: Seconds without an answer after which apt gives up a source.
    type: int
    required: true
  packages:
    description: Packages that will be installed next.
    type: list
    elements: str
    default: []
  max_age:
    description: Age in seconds up to which lists stay as they are. The empty lists of a fresh image are always updated.
    type: int
    default: 0
attributes:
  check_mode:
    support: none
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Update apt's lists
  apt_lists:
    timeout: 5
    packages: [nginx]
"""

RETURN = r"""
sources:
  description: Why each source that cannot be read failed, by its URL and suite.
  returned: always
  type: dict
  sample: {http://deb.example.org/debian trixie: Could not resolve 'deb.example.org'}
causes:
  description: The same in words; empty if every source was read.
  returned: always
  type: str
  sample: http://deb.example.org/debian trixie (Could not resolve 'deb.example.org')
"""

LISTS = Path("/var/lib/apt/lists")
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
# Seconds within which a failure is quick, and for which another apt may hold the lock.
QUICK, LOCKED = 10, 300
LOCK = "E: Could not get lock"
# apt reports each failure on a line of its own, and the reason on the indented lines after it.
FAILED = re.compile(r"^Err:\d+ (\S+ \S+).*\n((?:  .*\n)*)", re.MULTILINE)
REFUSED = re.compile(r"^E: The repository '(\S+ \S+) \S+' (.*)$", re.MULTILINE)
ERROR = re.compile(r"^E: (.*)$", re.MULTILINE)
UNREACHABLE = re.compile(r"^[WE]: Failed to fetch (\S+)/dists/", re.MULTILINE)
CONFIGURATION = "/etc/apt"
URI = re.compile(r"^'(\S+)' ", re.MULTILINE)


def broken(output: str, code: int) -> dict[str, str]:
    """Why each source failed, from the output of `apt-get update`."""
    found = dict(REFUSED.findall(output)) | {source: " ".join(why.split()) for source, why in FAILED.findall(output)}
    if code and not found:  # apt rejects its own configuration, and reads no source at all
        found[CONFIGURATION] = " ".join(ERROR.findall(output)) or f"apt-get update ended with status {code}"
    return {source: why.rpartition("error message is: ")[2].rstrip(".:") for source, why in found.items()}


def in_words(sources: dict[str, str]) -> str:
    """Sources that cannot be read, with the reason of each."""
    reasons: dict[str, list[str]] = {}
    for source, why in sources.items():
        reasons.setdefault(why, []).append(source)
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())


def update(module: AnsibleModule, timeout: int) -> tuple[int, str]:
    """Update the lists. Wait while another apt does, as at the first boot of a VM."""
    options = [f"Acquire::{name}::Timeout={timeout}" for name in ("http", "https")] + ["Acquire::Retries=0"]
    command = ["apt-get", "update", "-q", *(word for option in options for word in ("-o", option))]
    deadline = time.monotonic() + LOCKED
    while True:
        code, stdout, stderr = module.run_command(command, environ_update=ENVIRONMENT)
        if LOCK not in stderr or time.monotonic() > deadline:
            return code, f"{stdout}\n{stderr}"
        time.sleep(2)


def missing(module: AnsibleModule, packages: list[str], unreachable: Iterable[str]) -> str:
    """Why packages cannot be installed; empty if they can, for instance because their archives are there already."""
    command = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", "--print-uris", *packages]
    code, stdout, stderr = module.run_command(command, environ_update=ENVIRONMENT)
    if code:
        return " ".join(ERROR.findall(stderr))
    files = [uri for uri in URI.findall(stdout) if uri.startswith(tuple(f"{source}/" for source in unreachable))]
    return f"{files[0]} cannot be downloaded" if files else ""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "timeout": {"type": "int", "required": True},
            "packages": {"type": "list", "elements": "str", "default": []},
            "max_age": {"type": "int", "default": 0},
        }
    )
    packages: list[str] = module.params["packages"]
    if LISTS.stat().st_mtime > time.time() - module.params["max_age"] and any(LISTS.glob("*_Packages*")):
        module.exit_json(changed=False, sources={}, causes="")
    began = time.monotonic()
    code, output = update(module, module.params["timeout"])
    # apt ends with 0 if a failure may pass.
    if code == 0 and broken(output, code) and time.monotonic() - began < QUICK:
        time.sleep(1)
        code, output = update(module, module.params["timeout"])
    sources = broken(output, code)
    result: dict[str, Any] = {"changed": False, "sources": sources, "causes": in_words(sources)}
    why = missing(module, packages, UNREACHABLE.findall(output)) if packages and sources else ""
    os.utime(LISTS, (0, 0) if sources else None)  # apt does not touch the folder if nothing is new
    if not sources:
        module.exit_json(**result)
    if why:
        why = result["causes"] if CONFIGURATION in sources else f"{why.rstrip('.')}. It cannot read {result['causes']}"
        module.fail_json(
            msg=f"apt cannot install {', '.join(packages)}: {why}. Correct or remove these sources in /etc/apt, or "
            "make their servers answer, and run this again.",
            **result,
        )
    module.warn(f"apt cannot read {result['causes']}. Correct or remove these sources in /etc/apt.")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
