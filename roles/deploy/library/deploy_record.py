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
  - Takes the lock by a compare-and-swap, so that of two runs one gets it wherever they were started. It has no time to live: a run that was
    killed has left something half done, and the next one takes over on purpose.
  - The first entry of the log tells those who find the lock taken which release it is for.
  - The member of etcd that this is run on also writes for the node exporter since when the lock is held.
options:
  do:
    description: What to do.
    type: str
    choices: [look, lock, unlock, log]
    default: look
  entry:
    description: For V(lock) who takes it, with C(run) that names the run; for V(unlock) at least that; for V(log) what is to be remembered.
    type: dict
    default: {}
  take_over:
    description: Whether V(lock) takes it from another run.
    type: bool
    default: false
  keep:
    description: Entries of the log that are kept.
    type: int
    default: 200
  url:
    description: The member of etcd.
    type: str
    default: http://127.0.0.1:2379
  metrics:
    description: File for the node exporter; left out where its folder does not exist.
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
  description: Who has the lock now, empty where nobody has.
  returned: always
  type: dict
log:
  description: What is remembered, oldest first.
  returned: with V(look) and V(lock), else empty
  type: list
"""

LOCK, LOG, LOG_END = "/flaskfleet/deploy/lock", "/flaskfleet/deploy/log/", "/flaskfleet/deploy/log0"
TIMEOUT = 5


class EtcdError(Exception):
    """What etcd refuses or does not answer, in a sentence."""


class Etcd:
    """A member of etcd, by the JSON way into its API."""

    def __init__(self, url: str) -> None:
        self.url = url

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """What the member answers."""
        request = urllib.request.Request(f"{self.url}/v3/kv/{path}", json.dumps(body).encode())
        try:
            # No proxy of the environment is asked for the way to this host.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
                return dict(json.loads(answer.read()))
        except urllib.error.HTTPError as error:
            raise EtcdError(f"etcd at {self.url} refuses: {error.read().decode(errors='replace').strip()}") from error
        except (OSError, ValueError) as error:
            raise EtcdError(
                f"etcd at {self.url} does not answer: {error}; without its quorum nobody can hold the lock"
            ) from error

    def get(self, key: str, end: str = "") -> dict[str, dict[str, Any]]:
        """Keys and values from a key up to another, or one key alone."""
        found = self.call("range", {"key": encode(key)} | ({"range_end": encode(end)} if end else {})).get("kvs", [])
        return {decode(pair["key"]): json.loads(decode(pair["value"])) for pair in found}

    def swap(self, key: str, before: dict[str, Any], after: dict[str, Any]) -> bool:
        """Put a value where the key still has another, or none; remove it where the new one is empty. Return whether it was so."""
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
    """As etcd's JSON wants keys and values."""
    return base64.b64encode(value.encode()).decode()


def decode(value: str) -> str:
    """The way back."""
    return base64.b64decode(value).decode()


def text(value: dict[str, Any]) -> str:
    """The one way in which a value is written, so that it can be compared."""
    return json.dumps(value, sort_keys=True)


def lock(etcd: Etcd, entry: dict[str, Any], take_over: bool) -> bool:
    """Take the lock, also from another run if that is wanted, or say more about it where this run has it; return whether it has changed."""
    holder = etcd.get(LOCK).get(LOCK, {})
    own = holder.get("run") == entry["run"]
    if holder and not own and not take_over:
        return False
    entry = entry | {"since": holder["since"] if own else int(time.time())}
    return holder != entry and etcd.swap(LOCK, holder, entry)


def unlock(etcd: Etcd, entry: dict[str, Any]) -> bool:
    """Give the lock back, if this run has it."""
    holder = etcd.get(LOCK).get(LOCK, {})
    return holder.get("run") == entry["run"] and etcd.swap(LOCK, holder, {})


def log(etcd: Etcd, entry: dict[str, Any], keep: int) -> bool:
    """Remember an entry once, and forget the oldest. The lock, if this run has it, tells the entry's release from now on."""
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
    """Tell the node exporter since when the lock is held, 0 where nobody has it."""
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
            "do": {"type": "str", "choices": ["look", "lock", "unlock", "log"], "default": "look"},
            "entry": {"type": "dict", "default": {}},
            "take_over": {"type": "bool", "default": False},
            "keep": {"type": "int", "default": 200},
            "url": {"type": "str", "default": "http://127.0.0.1:2379"},
            "metrics": {"type": "path", "default": "/var/lib/prometheus/node-exporter/flaskfleet_deploy.prom"},
        }
    )
    asked = module.params
    etcd, entry = Etcd(asked["url"]), {name: value for name, value in asked["entry"].items() if value is not None}
    changed = False
    try:
        if asked["do"] == "lock":
            changed = lock(etcd, entry, asked["take_over"])
        elif asked["do"] == "unlock":
            changed = unlock(etcd, entry)
        elif asked["do"] == "log":
            changed = log(etcd, entry, asked["keep"])
        holder = etcd.get(LOCK).get(LOCK, {})
        entries = etcd.get(LOG, LOG_END) if asked["do"] in ("look", "lock") else {}
    except EtcdError as error:
        module.fail_json(msg=str(error))
    metrics = Path(asked["metrics"])
    if metrics.parent.is_dir():
        write_metrics(metrics, holder)
    module.exit_json(changed=changed, lock=holder, log=[entries[key] for key in sorted(entries)])


if __name__ == "__main__":
    main()
