#!/usr/bin/python
"""Install nginx's upstream file together with the notes about drained hosts."""

import calendar
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nginx_upstream
short_description: Install nginx's upstream file together with the notes about drained hosts
description:
  - Writes one note for each drained host, and the upstream file, which a template rendered from the same hosts.
  - Before the file is installed, C(nginx -t) checks it within the whole configuration. If nginx runs, it then reloads.
    If the reload fails, the old file and notes come back, so that the notes are always what nginx does.
  - Finally it can wait until no request to certain hosts is in flight from this load balancer.
options:
  content:
    description: The text of the upstream file.
    type: str
    required: true
  drained:
    description: The notes about all drained hosts, by host name, as M(nginx_drain_plan) returns them.
    type: dict
    required: true
  wait_for:
    description: Addresses (C(host:port)) to which no request may be in flight when the module returns.
    type: list
    elements: str
    default: []
  timeout:
    description: Maximum number of seconds to wait for that.
    type: int
    default: 0
  load:
    description: Whether nginx reloads at once.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Take app1 out
  nginx_upstream:
    content: "{{ lookup('ansible.builtin.template', 'upstream.conf.j2') }}"
    drained: {app1: {by: deploy, when: 2026-11-23T06:30:00Z, why: release 7}}
    wait_for: ["10.0.0.31:8000"]
    timeout: 30
"""

RETURN = r"""
in_flight:
  description: Number of connections to O(wait_for) that were still open when waiting ended.
  returned: always
  type: int
"""

# MAIN includes UPSTREAM.
MAIN, UPSTREAM = Path("/etc/nginx/nginx.conf"), Path("/etc/nginx/upstream.conf")
NOTES = Path("/var/lib/flaskfleet/drain")
# For the node exporter. The file is not written if its folder does not exist.
METRICS = Path("/var/lib/prometheus/node-exporter/flaskfleet_drain.prom")
PID, LOADED = Path("/run/nginx.pid"), Path("/run/nginx.loaded")
ESTABLISHED = "01"


def read_notes() -> dict[str, Any]:
    """Drained hosts by name, each with by, when and why."""
    notes = {}
    for path in NOTES.glob("[!.]*"):
        with suppress(FileNotFoundError):  # undrained meanwhile
            notes[path.name] = json.loads(path.read_text())
    return notes


def render_metrics(notes: Mapping[str, Mapping[str, str]]) -> str:
    """The notes as metrics: the time since which each host is drained."""
    lines = [
        "# HELP flaskfleet_drained_since_seconds Time at which this load balancer began to drain a host.",
        "# TYPE flaskfleet_drained_since_seconds gauge",
    ]
    for name, note in notes.items():
        since = calendar.timegm(time.strptime(note["when"], "%Y-%m-%dT%H:%M:%SZ"))
        lines.append(f'flaskfleet_drained_since_seconds{{host="{name}"}} {since}')
    return "\n".join(lines) + "\n"


def write(path: Path, text: str) -> None:
    """Replace a file by a rename, so that no reader sees half of it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(0o644)
    Path(file.name).rename(path)


def syntax_error(module: AnsibleModule, text: str) -> str:
    """Return nginx's error about the new file within the whole configuration, or an empty string if there is none."""
    if not MAIN.exists() or str(UPSTREAM) not in (configuration := MAIN.read_text()):
        return ""
    with tempfile.NamedTemporaryFile("w") as part, tempfile.NamedTemporaryFile("w") as main:
        part.write(text)
        main.write(configuration.replace(str(UPSTREAM), part.name))
        part.flush()
        main.flush()
        code, _, stderr = module.run_command(["nginx", "-t", "-q", "-c", main.name])
        return str(stderr).strip() if code else ""


def install(before: Mapping[str, Any], after: Mapping[str, Any], text: str) -> None:
    """Replace the notes and the upstream file."""
    for name in before.keys() - after.keys():
        (NOTES / name).unlink(missing_ok=True)
    for name in after.keys() - before.keys():
        write(NOTES / name, json.dumps(after[name]) + "\n")
    write(UPSTREAM, text)


def needs_reload() -> bool:
    """Whether nginx runs and has not read the file, for instance because an earlier run stopped before the reload."""
    return PID.exists() and not (LOADED.exists() and LOADED.stat().st_ctime_ns > UPSTREAM.stat().st_ctime_ns)


def connections(table: str, addresses: Iterable[str]) -> int:
    """Count the established connections to the addresses in the text of /proc/net/tcp.

    nginx closes idle connections when it reloads, so the remaining ones are requests in flight.
    """
    packed = set()
    for address in addresses:
        host, _, port = address.partition(":")
        packed.add("".join(f"{int(part):02X}" for part in reversed(host.split("."))) + f":{int(port):04X}")
    fields = (line.split() for line in table.splitlines()[1:])
    return sum(1 for row in fields if row[2] in packed and row[3] == ESTABLISHED)


def wait_for_requests(addresses: list[str], seconds: int) -> int:
    """Wait until no request is in flight, or the time is over. Return how many still are."""
    deadline = time.monotonic() + seconds
    while (left := connections(Path("/proc/net/tcp").read_text(), addresses)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True},
            "drained": {"type": "dict", "required": True},
            "wait_for": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 0},
            "load": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    before, after = read_notes(), parameters["drained"]
    text = parameters["content"].strip() + "\n"
    old = UPSTREAM.read_text() if UPSTREAM.exists() else ""
    changed = after != before or old != text
    if module.check_mode or not UPSTREAM.parent.is_dir():
        module.exit_json(changed=changed and UPSTREAM.parent.is_dir(), in_flight=0)
    if changed:
        if error := syntax_error(module, text):
            module.fail_json(msg=f"nginx rejects the new {UPSTREAM}: {error}. The old file stays in use.")
        install(before, after, text)
    if parameters["load"] and needs_reload():
        changed = True
        code, _, stderr = module.run_command(["systemctl", "reload", "nginx.service"])
        if code:
            if old:
                install(after, before, old)
            module.fail_json(
                msg=f"nginx did not reload {UPSTREAM}: {stderr.strip()}. The old file stays in use. "
                "Fix the cause, see `journalctl -t nginx`, and run this again."
            )
    if METRICS.parent.is_dir() and (not METRICS.exists() or METRICS.read_text() != render_metrics(after)):
        write(METRICS, render_metrics(after))
    module.exit_json(changed=changed, in_flight=wait_for_requests(parameters["wait_for"], parameters["timeout"]))


if __name__ == "__main__":
    main()
