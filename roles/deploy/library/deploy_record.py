#!/usr/bin/python
"""Keep the lock of deploys and their log in etcd."""

from __future__ import annotations

import base64
import json
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

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
  keep:
    description: Log entries to keep.
    type: int
    default: 200
  url:
    description: URL of the etcd member.
    type: str
    default: http://127.0.0.1:2379
  metrics:
    description: File for the node exporter. It is not written if its folder does not exist.
    type: path
    default: /var/lib/prometheus/node-exporter/flaskfleet_deploy.prom
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

LOCK, LOG, LOG_END = "/flaskfleet/deploy/lock", "/flaskfleet/deploy/log/", "/flaskfleet/deploy/log0"
TIMEOUT = 5


class EtcdError(Exception):
    """An error of etcd, in a sentence."""


class Etcd:
    """A client of an etcd member's JSON API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Send a request and return the response."""
        request = urllib.request.Request(f"{self.url}/v3/kv/{path}", json.dumps(body).encode())
        try:
            # The member is on this host, so a proxy of the environment must not be used.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            raise EtcdError(
                f"etcd at {self.url} refuses the request: {error.read().decode(errors='replace').strip()}"
            ) from error
        except (OSError, ValueError) as error:
            raise EtcdError(
                f"etcd at {self.url} does not answer: {error}. Deploys need its quorum; check it with `make status`."
            ) from error

    def get(self, key: str, end: str = "") -> dict[str, dict[str, Any]]:
        """The values from one key up to another, or of one key, by key."""
        found = self.call("range", {"key": encode(key)} | ({"range_end": encode(end)} if end else {})).get("kvs", [])
        return {decode(pair["key"]): json.loads(decode(pair["value"])) for pair in found}

    def swap(self, key: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Replace a key's value if it still is `before`, and return whether it was.

        An empty `before` means that the key must not exist. An empty `after` deletes it.
        """
        same: dict[str, Any] = {"key": encode(key), "result": "EQUAL"}
        same |= (
            {"target": "VALUE", "value": encode(text(before))}
            if before
            else {"target": "CREATE", "create_revision": "0"}
        )
        put = {"request_put": {"key": encode(key), "value": encode(text(after))}}
        done = put if after else {"request_delete_range": {"key": encode(key)}}
        return bool(self.call("txn", {"compare": [same], "success": [done]}).get("succeeded"))


def encode(value: str) -> str:
    """Encode a key or a value for etcd's JSON API."""
    return base64.b64encode(value.encode()).decode()


def decode(value: str) -> str:
    """Decode a key or a value of etcd's JSON API."""
    return base64.b64decode(value).decode()


def text(value: dict[str, Any]) -> str:
    """Write a value in a stable form, so that it can be compared."""
    return json.dumps(value, sort_keys=True)


def lock(etcd: Etcd, entry: dict[str, Any], take_over: bool) -> bool:
    """Take the lock, or update it if this run holds it; return whether it has changed."""
    holder = etcd.get(LOCK).get(LOCK, {})
    own = holder.get("run") == entry["run"]
    if holder and not own and not take_over:
        return False
    entry = entry | {"since": holder["since"] if own else int(time.time())}
    return holder != entry and etcd.swap(LOCK, holder, entry)


def unlock(etcd: Etcd, entry: dict[str, Any]) -> bool:
    """Release the lock, if this run holds it."""
    holder = etcd.get(LOCK).get(LOCK, {})
    return holder.get("run") == entry["run"] and etcd.swap(LOCK, holder, {})


def log(etcd: Etcd, entry: dict[str, Any], keep: int) -> bool:
    """Add an entry to the log once, delete the oldest ones, and add the entry's release to the lock of this run."""
    holder = etcd.get(LOCK).get(LOCK, {})
    if holder.get("run") == entry["run"] and holder.get("release") != entry.get("release"):
        etcd.swap(LOCK, holder, holder | {"release": entry.get("release")})
    key = f"{LOG}{entry['when']}-{entry['run']}-{entry['result']}"
    if not etcd.swap(key, {}, entry):
        return False
    for old in sorted(etcd.get(LOG, LOG_END))[:-keep]:
        etcd.call("deleterange", {"key": encode(old)})
    return True


def write_metrics(path: Path, holder: dict[str, Any]) -> None:
    """Write the metric for the node exporter, 0 if the lock is free."""
    since = holder.get("since", 0)
    new = path.with_suffix(".new")
    new.write_text(
        "# HELP flaskfleet_deploy_lock_since_seconds When the lock of deploys was taken; 0 while it is free.\n"
        "# TYPE flaskfleet_deploy_lock_since_seconds gauge\n"
        f"flaskfleet_deploy_lock_since_seconds {since}\n"
    )
    new.chmod(0o644)
    new.rename(path)


def main() -> None:
    """Ansible's entry point."""
    module = AnsibleModule(
        argument_spec={
            "do": {"type": "str", "choices": ["read", "lock", "unlock", "log"], "default": "read"},
            "entry": {"type": "dict", "default": {}},
            "take_over": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 200},
            "url": {"type": "str", "default": "http://127.0.0.1:2379"},
            "metrics": {"type": "path", "default": "/var/lib/prometheus/node-exporter/flaskfleet_deploy.prom"},
        }
    )
    options = module.params
    etcd, entry = Etcd(options["url"]), {name: value for name, value in options["entry"].items() if value is not None}
    changed = False
    try:
        if options["do"] == "lock":
            changed = lock(etcd, entry, options["take_over"])
        elif options["do"] == "unlock":
            changed = unlock(etcd, entry)
        elif options["do"] == "log":
            changed = log(etcd, entry, options["keep"])
        holder = etcd.get(LOCK).get(LOCK, {})
        entries = etcd.get(LOG, LOG_END) if options["do"] in ("read", "lock") else {}
    except EtcdError as error:
        module.fail_json(msg=str(error))
    metrics = Path(options["metrics"])
    if metrics.parent.is_dir():
        write_metrics(metrics, holder)
    module.exit_json(changed=changed, lock=holder, log=[entries[key] for key in sorted(entries)])


if __name__ == "__main__":
    main()
