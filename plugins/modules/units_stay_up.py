#!/usr/bin/python
"""Wait until services are active and stay so, for services that have no page to request."""

import time
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: units_stay_up
short_description: Wait until services are active and stay so
description:
  - systemd calls a service active as soon as its program is executed. A program that ends after a second is started
    again, for ever. This module waits until every service has been active for some time without a new start.
options:
  units:
    description: The services.
    type: list
    elements: str
    required: true
  seconds:
    description: How long they must stay active without a new start.
    type: float
    default: 3
  timeout:
    description: Maximum number of seconds to wait for that.
    type: float
    default: 60
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Wait for the worker
  units_stay_up:
    units: [celery-worker.service]
"""

RETURN = r"""
down:
  description: The services that do not stay up, each with what systemd reports.
  returned: always
  type: dict
log:
  description: What the first of them has logged since its last start.
  returned: always
  type: str
"""

PROPERTIES = "Id,ActiveState,LoadState,InvocationID,NRestarts,ExecMainStatus,Result"
# A service that was started again this often fails.
RESTARTS = 2


def read(module: AnsibleModule) -> dict[str, dict[str, str]]:
    """What systemd reports about the services, by their names."""
    command = ["systemctl", "show", f"--property={PROPERTIES}", *module.params["units"]]
    blocks = module.run_command(command, check_rc=True)[1].strip().split("\n\n")
    found = [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]
    return {unit["Id"]: unit for unit in found}


def described(unit: dict[str, str], restarts: int) -> str:
    """The state of a service that does not stay up."""
    if unit["LoadState"] == "not-found":
        return "has no unit"
    if restarts:
        return f"ends soon after its start: systemd has started it again {restarts} times"
    return f"is {unit['ActiveState']} (result {unit['Result']}, exit status {unit['ExecMainStatus']})"


def watch(module: AnsibleModule) -> dict[str, str]:
    """Wait, and return the services that do not stay up."""
    begin = since = time.monotonic()
    first = before = read(module)
    while True:
        now = read(module)
        runs = {name: unit["InvocationID"] for name, unit in now.items()}
        if any(unit["ActiveState"] != "active" for unit in now.values()) or runs != {
            name: unit["InvocationID"] for name, unit in before.items()
        }:
            since = time.monotonic()
        before = now
        restarts = {name: int(unit["NRestarts"]) - int(first[name]["NRestarts"]) for name, unit in now.items()}
        if time.monotonic() - since >= module.params["seconds"]:
            return {}
        late = time.monotonic() - begin > module.params["timeout"]
        bad = [
            name
            for name, unit in now.items()
            if restarts[name] >= RESTARTS
            or unit["ActiveState"] == "failed"
            or unit["LoadState"] == "not-found"
            or (late and (unit["ActiveState"] != "active" or restarts[name]))
        ]
        if bad or late:
            return {name: described(now[name], restarts[name]) for name in bad or now}
        time.sleep(0.25)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "units": {"type": "list", "elements": "str", "required": True},
            "seconds": {"type": "float", "default": 3},
            "timeout": {"type": "float", "default": 60},
        },
        supports_check_mode=True,
    )
    down: dict[str, Any] = watch(module) if module.params["units"] and not module.check_mode else {}
    log = ""
    for name in list(down)[:1]:
        command = ["journalctl", "--quiet", "--output=cat", "--lines=60", "--since=-10min", f"_SYSTEMD_UNIT={name}"]
        log = module.run_command(command)[1]
    module.exit_json(changed=False, down=down, log=log)


if __name__ == "__main__":
    main()
