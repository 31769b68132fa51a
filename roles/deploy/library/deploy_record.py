#!/usr/bin/python
"""Keep the lock of deploys and their log in etcd."""

import base64
import http.client
import json
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import etcd_client
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: deploy_record
short_description: Keep the lock of deploys and their log in etcd
description:
  - Takes the lock by a compare-and-swap, so only one of two runs gets it, wherever they were started. The lock does not
    expire, because a run that was killed may have left hosts half switched. The next run takes it over on purpose.
  - The first log entry of a run adds its release to the lock, for the error message of other runs.
  - Also writes a metric for the node exporter of the etcd member that it runs on, since when the lock is held.
options:
  do:
    description: What to do.
    type: str
    choices: [read, lock, unlock, log]
    default: read
  entry:
    description: For V(lock) the holder; for V(unlock) at least C(run), the name of the run; for V(log) the entry.
    type: dict
    default: {}
  take_over:
    description: Whether V(lock) takes the lock from another run.
    type: bool
    default: false
attributes:
  check_mode:
    support: none
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Take the lock
  deploy_record:
    do: lock
    entry: {run: 20261123T063000Z-4f1c, by: anna, release: 20261123-063000-0a1b2c3-4d5e6f708192}
"""

RETURN = r"""
lock:
  description: The holder of the lock, empty if it is free.
  returned: always
  type: dict
log:
  description: The log, oldest entry first.
  returned: with V(read) and V(lock), else empty
  type: list
"""

# The member on this host.
ADDRESS, PORT = "127.0.0.1", 2379
LOCK, LOG, LOG_END = "/flaskfleet/deploy/lock", "/flaskfleet/deploy/log/", "/flaskfleet/deploy/log0"
MAX_ENTRIES = 200
# For the node exporter. The file is not written if its folder does not exist.
METRICS = Path("/var/lib/prometheus/node-exporter/flaskfleet_deploy.prom")


class EtcdError(Exception):
    """An error of etcd, in a sentence."""


def call(path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Send a request to etcd's JSON API and return the response."""
    member = f"etcd at {ADDRESS}:{PORT}"
    try:
        status, answer = etcd_client.call(ADDRESS, f"/v3/kv/{path}", body, PORT)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise EtcdError(
            f"{member} does not answer: {error}. Deploys need its quorum; check it with `make status`."
        ) from error
    if status != http.client.OK:
        raise EtcdError(
            f"{member} refuses the request: {json.dumps(answer)}. `make status` shows what is wrong with etcd."
        )
    return answer


def get(key: str, end: str = "") -> dict[str, dict[str, Any]]:
    """The values from one key up to another, or of one key, by key."""
    found = call("range", {"key": encode(key)} | ({"range_end": encode(end)} if end else {})).get("kvs", [])
    return {decode(pair["key"]): json.loads(decode(pair["value"])) for pair in found}


def swap(key: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Replace a key's value if it still is `before`, and return whether it was.

    An empty `before` means that the key must not exist. An empty `after` deletes it.
    """
    same = (
        {"target": "VALUE", "value": encode(text(before))} if before else {"target": "CREATE", "create_revision": "0"}
    )
    put = {"request_put": {"key": encode(key), "value": encode(text(after))}}
    done = put if after else {"request_delete_range": {"key": encode(key)}}
    compare = [{"key": encode(key), "result": "EQUAL"} | same]
    return bool(call("txn", {"compare": compare, "success": [done]}).get("succeeded"))


def encode(value: str) -> str:
    """Encode a key or a value for etcd's JSON API."""
    return base64.b64encode(value.encode()).decode()


def decode(value: str) -> str:
    """Decode a key or a value of etcd's JSON API."""
    return base64.b64decode(value).decode()


def text(value: dict[str, Any]) -> str:
    """Write a value in a stable form, so that it can be compared."""
    return json.dumps(value, sort_keys=True)


def read_lock() -> dict[str, Any]:
    """Return the holder of the lock, empty if it is free."""
    return get(LOCK).get(LOCK, {})


def lock(entry: dict[str, Any], take_over: bool) -> bool:
    """Take the lock, or update it if this run holds it; return whether it has changed."""
    holder = read_lock()
    own = holder.get("run") == entry["run"]
    if holder and not own and not take_over:
        return False
    entry = entry | {"since": holder["since"] if own else int(time.time())}
    return holder != entry and swap(LOCK, holder, entry)


def unlock(entry: dict[str, Any]) -> bool:
    """Release the lock, if this run holds it."""
    holder = read_lock()
    return holder.get("run") == entry["run"] and swap(LOCK, holder, {})


def log(entry: dict[str, Any]) -> bool:
    """Add an entry to the log once, delete the oldest ones, and add the entry's release to the lock of this run."""
    holder = read_lock()
    if holder.get("run") == entry["run"] and holder.get("release") != entry.get("release"):
        swap(LOCK, holder, holder | {"release": entry.get("release")})
    key = f"{LOG}{entry['when']}-{entry['run']}-{entry['result']}"
    if not swap(key, {}, entry):
        return False
    for old in sorted(get(LOG, LOG_END))[:-MAX_ENTRIES]:
        call("deleterange", {"key": encode(old)})
    return True


def write_metrics(holder: dict[str, Any]) -> None:
    """Write the metric for the node exporter, 0 if the lock is free."""
    new = METRICS.with_suffix(".new")
    new.write_text(
        "# HELP flaskfleet_deploy_lock_since_seconds When the lock of deploys was taken; 0 while it is free.\n"
        "# TYPE flaskfleet_deploy_lock_since_seconds gauge\n"
        f"flaskfleet_deploy_lock_since_seconds {holder.get('since', 0)}\n"
    )
    new.chmod(0o644)
    new.rename(METRICS)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "do": {"type": "str", "choices": ["read", "lock", "unlock", "log"], "default": "read"},
            "entry": {"type": "dict", "default": {}},
            "take_over": {"type": "bool", "default": False},
        }
    )
    action = module.params["do"]
    entry = {name: value for name, value in module.params["entry"].items() if value is not None}
    changed = False
    try:
        if action == "lock":
            changed = lock(entry, module.params["take_over"])
        elif action == "unlock":
            changed = unlock(entry)
        elif action == "log":
            changed = log(entry)
        holder = read_lock()
        entries = get(LOG, LOG_END) if action in ("read", "lock") else {}
    except EtcdError as error:
        module.fail_json(msg=str(error))
    if METRICS.parent.is_dir():
        write_metrics(holder)
    module.exit_json(changed=changed, lock=holder, log=[entries[key] for key in sorted(entries)])


if __name__ == "__main__":
    main()
