#!/usr/bin/python
"""Count the answers of each application host through this load balancer."""

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
short_description: Count the answers of each application host through this load balancer
description:
  - Reads the end of nginx's access log. Answers from nginx's cache and disk count for no host.
  - A request that was tried on several hosts counts for each of them.
  - A WebSocket counts as an answer without a duration.
options:
  seconds:
    description: Length of the period that ends now, by this host's clock.
    type: int
    required: true
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Count the answers of the last minute
  nginx_traffic:
    seconds: 60
"""

RETURN = r"""
hosts:
  description: By address, C(answers), C(errors) (5xx, or no answer at all) and C(seconds), the duration of each answer.
  returned: always
  type: dict
"""

# One JSON object a line.
LOG = Path("/var/log/nginx/access.log")
# Bytes read from the end of the log. A line has 300 to 1,000 bytes, so this covers a minute at 1,000 requests a second.
TAIL = 32 * 1024 * 1024
SWITCHED = "101"
# nginx separates hosts by a comma if it tried several, and by a colon after an internal redirect.
SEPARATOR = re.compile(", | : ")


def tail(path: Path) -> list[str]:
    """The last lines of the log, and of its predecessor in case it was just rotated."""
    found: list[str] = []
    for part in (path.with_name(f"{path.name}.1"), path):
        if part.exists():
            with part.open("rb") as file:
                file.seek(max(0, part.stat().st_size - TAIL))
                found += file.read().decode(errors="replace").splitlines()
    return found


def count(lines: Iterable[str], since: float) -> dict[str, dict[str, Any]]:
    """Count the answers of each host since then."""
    hosts: defaultdict[str, dict[str, Any]] = defaultdict(lambda: {"answers": 0, "errors": 0, "seconds": []})
    for line in lines:
        try:
            entry = json.loads(line)
            # The log has whole seconds. An answer in the same second as `since` may be older, so it does not count.
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
                # nginx logs a WebSocket when it is closed, with the time for which it was open.
                host["seconds"] += [float(seconds)] if seconds != "-" and status != SWITCHED else []
        except (ValueError, KeyError):
            continue  # an incomplete line at the start of the range or at the end of the log
    return dict(hosts)


def main() -> None:
    module = AnsibleModule(argument_spec={"seconds": {"type": "int", "required": True}}, supports_check_mode=True)
    module.exit_json(changed=False, hosts=count(tail(LOG), time.time() - module.params["seconds"]))


if __name__ == "__main__":
    main()
