#!/usr/bin/python
"""Count what each application host has answered through this load balancer."""

from __future__ import annotations

import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nginx_traffic
short_description: Count what each application host has answered through this load balancer
description:
  - Reads the end of nginx's access log. Answers of its cache and of its disk are nobody's; a request that was tried on several hosts counts
    for each of them.
options:
  seconds:
    description: How long ago the first request was answered that counts, by this host's clock.
    type: int
    required: true
  path:
    description: The access log, one JSON object a line.
    type: path
    default: /var/log/nginx/access.log
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Look what the hosts have answered in the last minute
  nginx_traffic:
    seconds: 60
"""

RETURN = r"""
hosts:
  description: By address C(answers), C(errors) (5xx, or none at all) and C(seconds), the time of each answer.
  returned: always
  type: dict
"""

# A line is 300 to 1,000 bytes: so much of the log's end is read, which at 1,000 requests a second covers a minute.
TAIL = 32 * 1024 * 1024
# Between hosts that were tried one after another, and between the parts of a request that nginx redirected within itself.
SEPARATOR = re.compile(", | : ")


def tail(path: Path) -> list[str]:
    """The last lines of the log, and of the one before where it was rotated a moment ago."""
    found: list[str] = []
    for part in (path.with_name(f"{path.name}.1"), path):
        if part.exists():
            with part.open("rb") as file:
                file.seek(max(0, part.stat().st_size - TAIL))
                found += file.read().decode(errors="replace").splitlines()
    return found


def count(lines: Iterable[str], since: float) -> dict[str, dict[str, Any]]:
    """What each host has answered since then."""
    hosts: defaultdict[str, dict[str, Any]] = defaultdict(lambda: {"answers": 0, "errors": 0, "seconds": []})
    for line in lines:
        try:
            entry = json.loads(line)
            # Whole seconds: one that began before belongs to both sides.
            if datetime.fromisoformat(entry["time"]).timestamp() < since or not entry["upstream_addr"]:
                continue
            tried = zip(
                *(SEPARATOR.split(entry[name]) for name in ("upstream_addr", "upstream_status", "upstream_time")),
                strict=True,
            )
            for address, status, seconds in tried:
                host = hosts[address.rpartition(":")[0]]
                host["answers"] += 1
                host["errors"] += not status.isdigit() or int(status) >= 500
                host["seconds"] += [float(seconds)] if seconds != "-" else []
        except (ValueError, KeyError):
            continue  # half a line, where reading began or nginx is just writing
    return dict(hosts)


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "seconds": {"type": "int", "required": True},
            "path": {"type": "path", "default": "/var/log/nginx/access.log"},
        },
        supports_check_mode=True,
    )
    module.exit_json(
        changed=False, hosts=count(tail(Path(module.params["path"])), time.time() - module.params["seconds"])
    )


if __name__ == "__main__":
    main()
