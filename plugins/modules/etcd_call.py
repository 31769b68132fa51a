#!/usr/bin/python
"""Send a request to a member of etcd, from the host of a member."""

from __future__ import annotations

import http.client
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.etcd_client import PORT, call

DOCUMENTATION = r"""
module: etcd_call
short_description: Send a request to a member of etcd, from the host of a member
description:
  - Uses TLS with the certificate of its host (/etc/fleet-tls), as far as this host's member serves it.
  - Fails unless the status is 200.
options:
  address:
    description: Address of the member.
    type: str
    required: true
  path:
    description: Path of the JSON interface, such as V(/v3/kv/range).
    type: str
    required: true
  body:
    description: What to send. Without it, the request is a GET.
    type: dict
  port:
    description: Port for clients.
    type: int
    default: 2379
  timeout:
    description: Seconds to wait for the connection, and for each part of the answer.
    type: int
    default: 5
attributes:
  check_mode:
    support: none
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Query the health of a member
  etcd_call:
    address: 10.0.0.1
    path: /health
"""

RETURN = r"""
status:
  description: HTTP status, 0 if there was no answer.
  type: int
  returned: always
json:
  description: The answer, empty if there was none.
  type: dict
  returned: always
"""


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "path": {"type": "str", "required": True},
            "body": {"type": "dict"},
            "port": {"type": "int", "default": PORT},
            "timeout": {"type": "int", "default": 5},
        }
    )
    given: dict[str, Any] = module.params
    status, answer, reason = 0, {}, ""
    try:
        status, answer = call(given["address"], given["path"], given["body"], given["port"], given["timeout"])
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = f"{type(error).__name__}: {error}"
    if status == http.client.OK:
        module.exit_json(changed=False, status=status, json=answer)
    reason = reason or f"status {status}, {answer.get('message') or answer.get('error') or answer}"
    module.fail_json(
        msg=f"etcd at {given['address']} did not answer {given['path']}: {reason}.", status=status, json=answer
    )


if __name__ == "__main__":
    main()
