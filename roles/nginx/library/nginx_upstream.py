#!/usr/bin/python
"""Say which application hosts this load balancer sends requests to."""

from __future__ import annotations

import calendar
import json
import os
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nginx_upstream
short_description: Write nginx's upstream, drain hosts and put them back
description:
  - Keeps a note of each drained host in O(notes), and writes the upstream from the hosts and these notes: nothing else says who is drained.
  - The file is tried by nginx within the whole configuration before it is installed, and loaded where nginx runs.
  - With O(drain) it then waits until no request to the drained hosts is in flight from here.
options:
  upstream:
    description: What to write.
    type: dict
    required: true
    options:
      hosts: {description: The application's hosts., type: list, elements: dict, required: true}
      port: {description: Their TCP port., type: int, required: true}
      max_fails: {description: Failures after which a host is put aside while another serves., type: int, required: true}
      fail_timeout: {description: Seconds for which it is., type: int, required: true}
      keepalive: {description: Idle connections kept., type: int, required: true}
      keepalive_timeout: {description: Seconds for which they are., type: int, required: true}
  drain:
    description: Names of hosts that get no new requests from now on. A note that exists stays as it is.
    type: list
    elements: str
    default: []
  undrain:
    description: Names of hosts that get requests again; with O(by), only where the note names the same.
    type: list
    elements: str
    default: []
  health:
    description: Path at which a host that serves answers 200. Empty where none is known; then every host that is not drained counts as one.
    type: str
    default: ""
  alone:
    description:
      - What O(drain) does where no other host would serve meanwhile. V(refuse) fails. V(serve) leaves the hosts in, for who would
        rather let requests wait in their sockets. V(drain) does not ask the others, for hosts that do not serve themselves.
    type: str
    choices: [refuse, serve, drain]
    default: refuse
  by:
    description: Who drains.
    type: str
    default: ""
  why:
    description: What for.
    type: str
    default: ""
  wait:
    description: Seconds to wait for requests in flight to drained hosts.
    type: int
    default: 0
  load:
    description: Whether nginx is told to load the file at once.
    type: bool
    default: true
  notes:
    description: Folder of the notes.
    type: path
    default: /var/lib/flaskfleet/drain
  metrics:
    description: File for the node exporter; left out where its folder does not exist.
    type: path
    default: /var/lib/prometheus/node-exporter/flaskfleet_drain.prom
  path:
    description: The file that nginx.conf includes.
    type: path
    default: /etc/nginx/upstream.conf
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Take app1 out
  nginx_upstream:
    upstream: "{{ upstream }}"
    drain: [app1]
    by: deploy
    why: release 20261123-063000-0a1b2c3-4d5e6f708192
    wait: 30
"""

RETURN = r"""
drained:
  description: The notes of all drained hosts, by name.
  returned: always
  type: dict
in_flight:
  description: Connections to drained hosts that were still open when waiting ended.
  returned: always
  type: int
"""

MAIN = Path("/etc/nginx/nginx.conf")
PID, LOADED = Path("/run/nginx.pid"), Path("/run/nginx.loaded")
ESTABLISHED = "01"
WHEN = "%Y-%m-%dT%H:%M:%SZ"


def render(upstream: Mapping[str, Any], drained: Iterable[str]) -> str:
    """The upstream's text. A host is put aside while another takes over, never the last one: a pause of all only makes errors.

    So all that serve stand there again as each other's backup, without a limit: where a slow page or a database that waits has put every
    host aside, requests go to them as if nothing had been seen.
    """
    names = set(drained)
    serving = [host for host in upstream["hosts"] if host["name"] not in names]
    fails = upstream["max_fails"] if len(serving) > 1 else 0
    limits = f"max_fails={fails} fail_timeout={upstream['fail_timeout']}s"
    lines = [
        f"    server {host['address']}:{upstream['port']} {limits}{' down' if host['name'] in names else ''}; # {host['name']}"
        for host in upstream["hosts"]
    ]
    if fails:
        lines.append("    # When all have been put aside, all are asked.")
        lines += [
            f"    server {host['address']}:{upstream['port']} max_fails=0 backup; # {host['name']}" for host in serving
        ]
    return "\n".join(
        [
            "# Written by Flaskfleet's role nginx from the notes in /var/lib/flaskfleet/drain; a change made here is lost.",
            "upstream app {",
            "    zone app 128k;",
            *lines,
            f"    keepalive {upstream['keepalive']};",
            "    keepalive_requests 10000;",
            "    # Below the application's own, or requests meet closing connections.",
            f"    keepalive_timeout {upstream['keepalive_timeout']}s;",
            "}\n",
        ]
    )


def read_notes(folder: Path) -> dict[str, dict[str, str]]:
    """Drained hosts by name, each with by, when and why."""
    return {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("[!.]*"))} if folder.is_dir() else {}


def render_metrics(notes: Mapping[str, Mapping[str, str]]) -> str:
    """The notes as metrics: since when each host is drained."""
    lines = ["# HELP flaskfleet_drained_since_seconds When this load balancer was told to leave a host alone.",
             "# TYPE flaskfleet_drained_since_seconds gauge"]  # fmt: skip
    for name, note in notes.items():
        since = calendar.timegm(time.strptime(note["when"], WHEN))
        lines.append(f'flaskfleet_drained_since_seconds{{host="{name}"}} {since}')
    return "\n".join(lines) + "\n"


def connections(table: str, address: str, port: int) -> int:
    """Open connections to an address, of /proc/net/tcp."""
    packed = "".join(f"{int(part):02X}" for part in reversed(address.split(".")))
    fields = (line.split() for line in table.splitlines()[1:])
    return sum(1 for row in fields if row[2] == f"{packed}:{port:04X}" and row[3] == ESTABLISHED)


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file by a rename, so that nobody ever reads half of it."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(file.name).chmod(mode)
    Path(file.name).rename(path)


def refused(module: AnsibleModule, path: Path, text: str) -> str:
    """What nginx has against the file, tried in the whole configuration; empty where it takes it."""
    if not MAIN.exists() or str(path) not in (whole := MAIN.read_text()):
        return ""
    with tempfile.NamedTemporaryFile("w") as part, tempfile.NamedTemporaryFile("w") as main:
        part.write(text)
        main.write(whole.replace(str(path), part.name))
        part.flush()
        main.flush()
        code, _, said = module.run_command(["nginx", "-t", "-q", "-c", main.name])
        return str(said).strip() if code else ""


def unloaded(path: Path) -> bool:
    """Whether nginx runs and has not read the file yet, also where an earlier run was interrupted before it could tell nginx."""
    return PID.exists() and not (LOADED.exists() and LOADED.stat().st_ctime_ns > path.stat().st_ctime_ns)


def serves(url: str) -> bool:
    """Whether a host answers there, with 200 and within two seconds."""
    try:
        with urlopen(url, timeout=2) as answer:
            answer.read()
            return bool(answer.status == 200)
    except (OSError, HTTPException):
        return False


def nobody_else(
    upstream: Mapping[str, Any], before: Iterable[str], after: Iterable[str], asked: Mapping[str, Any]
) -> str:
    """Why nobody would serve but who is in `after`, and what helps; empty where somebody would."""
    left = [host for host in upstream["hosts"] if host["name"] not in set(after)]
    if not left:
        return f"no application host; {'put back ' + ', '.join(before) + ' first' if before else 'leave at least one'}."
    urls = [f"http://{host['address']}:{upstream['port']}{asked['health']}" for host in left]
    if asked["alone"] == "drain" or not asked["health"] or any(serves(url) for url in urls):
        return ""
    unwell = f"{asked['health']} of {', '.join(host['name'] for host in left)} is not well"
    return f"none that serves, since {unwell}; mend that, or drain all the same with -e nginx_drain_alone=drain."


def put_back(name: str, note: Mapping[str, str], asked: Mapping[str, Any]) -> bool:
    """Whether this run puts a drained host back."""
    return name in asked["undrain"] and asked["by"] in ("", note["by"])


def in_flight(upstream: Mapping[str, Any], drained: Sequence[str]) -> int:
    """Connections from here to drained hosts. nginx closes idle ones when it loads the file, so these are requests."""
    table = Path("/proc/net/tcp").read_text()
    return sum(
        connections(table, host["address"], upstream["port"]) for host in upstream["hosts"] if host["name"] in drained
    )


def wait_for_requests(upstream: Mapping[str, Any], drained: Sequence[str], seconds: int) -> int:
    """Wait until no request is in flight; return how many are still."""
    deadline = time.monotonic() + seconds
    while (left := in_flight(upstream, drained)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def main() -> None:
    """Ansible's entry point."""
    host_options = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    number = {"type": "int", "required": True}
    upstream_options: dict[str, Any] = {
        "hosts": {"type": "list", "elements": "dict", "required": True, "options": host_options},
        **dict.fromkeys(("port", "max_fails", "fail_timeout", "keepalive", "keepalive_timeout"), number),
    }
    module = AnsibleModule(
        argument_spec={
            "upstream": {"type": "dict", "required": True, "options": upstream_options},
            "drain": {"type": "list", "elements": "str", "default": []},
            "undrain": {"type": "list", "elements": "str", "default": []},
            "by": {"type": "str", "default": ""},
            "why": {"type": "str", "default": ""},
            "wait": {"type": "int", "default": 0},
            "health": {"type": "str", "default": ""},
            "alone": {"type": "str", "choices": ["refuse", "serve", "drain"], "default": "refuse"},
            "load": {"type": "bool", "default": True},
            "notes": {"type": "path", "default": "/var/lib/flaskfleet/drain"},
            "metrics": {"type": "path", "default": "/var/lib/prometheus/node-exporter/flaskfleet_drain.prom"},
            "path": {"type": "path", "default": "/etc/nginx/upstream.conf"},
        },
        supports_check_mode=True,
    )
    asked = module.params
    folder, path, upstream = Path(asked["notes"]), Path(asked["path"]), asked["upstream"]
    before = read_notes(folder)
    now = time.strftime(WHEN, time.gmtime())
    known = [host["name"] for host in upstream["hosts"]]
    added = {name: {"by": asked["by"], "when": now, "why": asked["why"]} for name in asked["drain"]}
    # A host that is gone from the inventory takes its note along.
    after = {name: note for name, note in (added | before).items() if name in known and not put_back(name, note, asked)}
    if after.keys() - before.keys() and (why := nobody_else(upstream, before, after, asked)):
        if asked["alone"] != "serve":
            module.fail_json(msg=f"Draining {', '.join(asked['drain'])} would leave {why}")
        after = {name: note for name, note in after.items() if name in before}
    text = render(upstream, after)
    changed = after != before or not path.exists() or path.read_text() != text
    result: dict[str, Any] = {"drained": after, "in_flight": 0}
    if module.check_mode or not path.parent.is_dir():
        module.exit_json(changed=changed and path.parent.is_dir(), **result)
    if changed:
        if said := refused(module, path, text):
            module.fail_json(msg=f"nginx refuses {path}, so the old one stays: {said}")
        for name in before.keys() - after.keys():
            (folder / name).unlink()
        for name in after.keys() - before.keys():
            write(folder / name, json.dumps(after[name]) + "\n")
        write(path, text)
    if asked["load"] and unloaded(path):
        changed = True
        code, _, said = module.run_command(["systemctl", "reload", "nginx.service"])
        if code:
            module.fail_json(msg=f"nginx did not load {path}: {said.strip()}; see /var/log/nginx/error.log.")
    metrics = Path(asked["metrics"])
    if metrics.parent.is_dir() and (not metrics.exists() or metrics.read_text() != render_metrics(after)):
        write(metrics, render_metrics(after))
    result["in_flight"] = (
        wait_for_requests(upstream, [name for name in asked["drain"] if name in after], asked["wait"])
        if asked["wait"]
        else 0
    )
    module.exit_json(changed=changed, **result)


if __name__ == "__main__":
    main()
