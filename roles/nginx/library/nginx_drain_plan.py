#!/usr/bin/python
"""Decide which application hosts this load balancer drains."""

import json
import ssl
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, HTTPSHandler, ProxyHandler, build_opener

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: nginx_drain_plan
short_description: Decide which application hosts this load balancer drains
description:
  - Reads the notes about drained hosts, applies O(drain) and O(undrain), and returns the result. It changes nothing.
  - Refuses to drain the last host that serves.
options:
  hosts:
    description: The application hosts. A note about any other host is dropped.
    type: list
    elements: dict
    required: true
    options:
      name: {description: Name in the inventory., type: str, required: true}
      address: {description: Address at which it serves the application., type: str, required: true}
  port:
    description: TCP port of the application.
    type: int
    required: true
  tls_port:
    description: TCP port at which the hosts serve the application by TLS; 0 if they do not.
    type: int
    default: 0
  drain:
    description: Names of the hosts to drain. If a host is already drained, its note stays as it is.
    type: list
    elements: str
    default: []
  undrain:
    description: Names of the hosts to put back. If O(by) is set, only those whose note has the same C(by).
    type: list
    elements: str
    default: []
  by:
    description: Who drains.
    type: str
    default: ""
  why:
    description: Reason for draining.
    type: str
    default: ""
  health:
    description: Path at which a healthy host answers with a status below 500. If empty,
      every host that is not drained counts as healthy.
    type: str
    default: ""
  last_host:
    description:
      - What to do if no other healthy host would be left.
      - V(refuse) fails. V(keep) drains nothing. V(drain) skips the health check, for hosts that are down anyway.
    type: str
    choices: [refuse, keep, drain]
    default: refuse
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Plan to take app1 out
  nginx_drain_plan:
    hosts: "{{ nginx_upstream_hosts }}"
    port: 8000
    tls_port: 8443
    drain: [app1]
    by: deploy
    why: release 20261123-063000-0a1b2c3-4d5e6f708192
"""

RETURN = r"""
drained:
  description: The notes about all drained hosts, by host name.
  returned: always
  type: dict
encrypts:
  description: Whether requests go to O(tls_port). Not yet if nginx.conf is of a version that knows only plain text.
  returned: always
  type: bool
"""


class NoRedirects(HTTPRedirectHandler):
    """Returns a redirect as the answer: a host that redirects to its log-in page is healthy."""

    def redirect_request(self, *_: Any) -> None:
        return None


NOTES, MAIN = Path("/var/lib/flaskfleet/drain"), Path("/etc/nginx/nginx.conf")
TLS = Path("/etc/fleet-tls")
# The variable of nginx.conf with which the upstream chooses the scheme.
SCHEME = "$app_scheme"


def read_notes() -> dict[str, dict[str, str]]:
    """Drained hosts by name, each with by, when and why."""
    notes = {}
    for path in sorted(NOTES.glob("[!.]*")):
        with suppress(FileNotFoundError):  # undrained meanwhile
            notes[path.name] = json.loads(path.read_text())
    return notes


def encrypts(tls_port: int) -> bool:
    """Whether this load balancer can reach the hosts by TLS."""
    return bool(tls_port) and MAIN.exists() and SCHEME in MAIN.read_text()


def is_healthy(url: str) -> bool:
    """Whether the URL answers with a status below 500 within two seconds."""
    try:
        context = None
        if url.startswith("https:"):
            context = ssl.create_default_context(cafile=str(TLS / "ca.pem"))
            context.load_cert_chain(TLS / "cert.pem", TLS / "key.pem")
        # A proxy of the environment must not be used for the fleet's own addresses.
        direct = build_opener(ProxyHandler({}), NoRedirects(), HTTPSHandler(context=context))
        with direct.open(url, timeout=2) as answer:
            answer.read()
            return True
    except HTTPError as error:
        return error.code < HTTPStatus.INTERNAL_SERVER_ERROR
    except (OSError, HTTPException):
        return False


def refusal(parameters: Mapping[str, Any], before: Iterable[str], after: Iterable[str]) -> str:
    """Return why the hosts in `after` cannot all be drained, or an empty string if they can."""
    failed = f"Cannot drain nginx_drain_hosts = {', '.join(parameters['drain'])}:"
    left = [host for host in parameters["hosts"] if host["name"] not in set(after)]
    if not left:
        advice = f"Put {', '.join(before)} back first." if before else "Leave out at least one of them."
        return f"{failed} no application host would be left. {advice}"
    scheme, port = ("https", "tls_port") if encrypts(parameters["tls_port"]) else ("http", "port")
    urls = [f"{scheme}://{host['address']}:{parameters[port]}{parameters['health']}" for host in left]
    if parameters["last_host"] == "drain" or not parameters["health"] or any(map(is_healthy, urls)):
        return ""
    names = ", ".join(host["name"] for host in left)
    return (
        f"{failed} no other host is healthy ({parameters['health']} did not answer below 500 on {names}). "
        f"Repair {names}, or drain anyway with -e nginx_drain_last_host=drain."
    )


def main() -> None:
    host_options = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
    module = AnsibleModule(
        argument_spec={
            "hosts": {"type": "list", "elements": "dict", "required": True, "options": host_options},
            "port": {"type": "int", "required": True},
            "tls_port": {"type": "int", "default": 0},
            "drain": {"type": "list", "elements": "str", "default": []},
            "undrain": {"type": "list", "elements": "str", "default": []},
            "by": {"type": "str", "default": ""},
            "why": {"type": "str", "default": ""},
            "health": {"type": "str", "default": ""},
            "last_host": {"type": "str", "choices": ["refuse", "keep", "drain"], "default": "refuse"},
        },
        supports_check_mode=True,
    )
    parameters = module.params
    note = {
        "by": parameters["by"],
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "why": parameters["why"],
    }
    known = {host["name"] for host in parameters["hosts"]}
    before = read_notes()
    put_back = {
        name for name in parameters["undrain"] if name in before and parameters["by"] in ("", before[name]["by"])
    }
    after = {
        name: found
        for name, found in (dict.fromkeys(parameters["drain"], note) | before).items()
        if name in known and name not in put_back
    }
    if after.keys() - before.keys() and (why := refusal(parameters, before, after)):
        if parameters["last_host"] != "keep":
            module.fail_json(msg=why)
        after = {name: found for name, found in after.items() if name in before}
    module.exit_json(changed=False, drained=after, encrypts=encrypts(parameters["tls_port"]))


if __name__ == "__main__":
    main()
