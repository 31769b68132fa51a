#!/usr/bin/python
"""Ask Sentinel who is master."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_connection import Connection, RedisError, is_refusal

DOCUMENTATION = r"""
module: redis_primary
short_description: Find the master of each Redis instance
description:
  - Asks every Sentinel; the answer of most of those that know one counts, and of two answers with as many votes the newer.
  - Where no Sentinel knows any, asks the instances themselves whom they follow.
  - Where nobody knows, as on a fresh fleet, the first of O(instances[].candidates) is it.
  - A host that has lost its data is not the master, whatever Sentinel says, as long as another copy holds keys. The module waits until
    Sentinel has promoted that copy, because an empty master would make it empty, too.
  - Changes nothing.
options:
  instances:
    description: The instances to look for.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name under which Sentinel monitors the instance.
        type: str
        required: true
      port:
        description: Port of the instance on every host.
        type: int
        required: true
      candidates:
        description: Addresses that may be master; the first is it on a fresh fleet.
        type: list
        elements: str
        required: true
      copies:
        description: Addresses of all copies, including those that are never promoted.
        type: list
        elements: str
        required: true
      empty:
        description: Whether this host has no data of the instance yet.
        type: bool
        default: false
  sentinels:
    description: Addresses of all Sentinels.
    type: list
    elements: str
    required: true
  sentinel_port:
    description: Port of all Sentinels.
    type: int
    default: 26379
  address:
    description: Address of this host.
    type: str
    required: true
  login_user:
    description: A user that may run C(INFO), and C(SENTINEL MASTER) on Sentinels.
    type: str
    required: true
  login_password:
    description: Its password.
    type: str
    required: true
  promotion_timeout:
    description: Seconds to wait for Sentinel to promote another copy than this host's empty one.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Ask who is master
  redis_primary:
    instances: [{name: store, port: 6380, candidates: [10.0.0.1, 10.0.0.2], copies: [10.0.0.1, 10.0.0.2, 10.0.0.3]}]
    sentinels: [10.0.0.1, 10.0.0.2, 10.0.0.3]
    address: 10.0.0.2
    login_user: monitoring
    login_password: "{{ redis_monitoring_password }}"
"""

RETURN = r"""
primaries:
  description: Address of the master by the instance's name.
  type: dict
  returned: always
  sample: {store: 10.0.0.1}
sources:
  description: Who named it, C(sentinel), C(instances) or C(inventory).
  type: dict
  returned: always
  sample: {store: sentinel}
silent:
  description: Addresses of the Sentinels that do not answer.
  type: list
  elements: str
  returned: always
"""

PROBE_TIMEOUT = 1.0


class Scout:
    """Asks Sentinels and instances; one that is silent or refuses the user has nothing to say."""

    def __init__(self, sentinels: list[str], sentinel_port: int, user: str, password: str) -> None:
        self.sentinels = sentinels
        self.sentinel_port = sentinel_port
        self.login = (user, password)
        self.silent: set[str] = set()
        self.refused: set[str] = set()

    def by_sentinel(self, name: str) -> str | None:
        """The master that most Sentinels name; the newest of them where votes are equal."""
        votes: Counter[str] = Counter()
        epochs: Counter[str] = Counter()
        for address in self.sentinels:
            if address in self.silent:
                continue
            try:
                with Connection(address, self.sentinel_port, *self.login, timeout=PROBE_TIMEOUT) as sentinel:
                    master = sentinel.pairs("SENTINEL", "MASTER", name)
            except OSError:
                self.silent.add(address)
                continue
            except RedisError as error:
                if is_refusal(error):
                    self.refused.add(address)
                continue
            votes[master["ip"]] += 1
            epochs[master["ip"]] = max(epochs[master["ip"]], int(master["config-epoch"]))
        return max(votes, key=lambda ip: (votes[ip], epochs[ip]), default=None)

    def by_instances(self, copies: list[str], port: int) -> str | None:
        """The master that most copies follow; a master with keys or replicas stands for itself."""
        votes: Counter[str] = Counter()
        for address in copies:
            info = self.info(address, port)
            if info.get("role") == "slave":
                votes[info["master_host"]] += 1
            elif info.get("role") == "master" and (info["connected_slaves"] != "0" or "db0" in info):
                votes[address] += 1
        return max(votes, key=lambda ip: votes[ip], default=None)

    def with_keys(self, copies: list[str], port: int) -> list[str]:
        """The copies that hold a key."""
        return [address for address in copies if any(field.startswith("db") for field in self.info(address, port))]

    def info(self, address: str, port: int) -> dict[str, str]:
        """Role and number of keys of one copy; nothing when it does not answer."""
        try:
            with Connection(address, port, *self.login, timeout=PROBE_TIMEOUT) as instance:
                return dict(instance.info("replication", "keyspace"))
        except OSError:
            return {}
        except RedisError as error:
            if is_refusal(error):
                self.refused.add(address)
            return {}


def find(scout: Scout, instance: dict[str, Any], own_address: str, promotion_timeout: float) -> tuple[str, str]:
    """The address of the instance's master, and who says so; raise RedisError when this host is it but has lost its data."""
    deadline = time.monotonic() + promotion_timeout
    others = [address for address in instance["copies"] if address != own_address]
    while True:
        if address := scout.by_sentinel(instance["name"]):
            source = "sentinel"
        elif address := scout.by_instances(instance["copies"], instance["port"]):
            source = "instances"
        else:
            address, source = instance["candidates"][0], "inventory"
            # Right after a password was changed there are copies, though none talks to us yet.
            if scout.refused and instance["empty"]:
                raise RedisError(
                    f"{own_address} has no {instance['name']} yet, and {', '.join(sorted(scout.refused))} refuses {scout.login[0]}: "
                    "run this on those first, so that they learn the new password."
                )
        if not (instance["empty"] and address == own_address):
            return address, source
        full = scout.with_keys(others, instance["port"])
        if not full:
            return address, source
        if time.monotonic() > deadline:
            raise RedisError(
                f"{own_address} should be master of {instance['name']} but has no data, while {', '.join(full)} has: "
                f"run `SENTINEL FAILOVER {instance['name']}` on a Sentinel, then this again."
            )
        time.sleep(1)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "instances": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "name": {"type": "str", "required": True},
                    "port": {"type": "int", "required": True},
                    "candidates": {"type": "list", "elements": "str", "required": True},
                    "copies": {"type": "list", "elements": "str", "required": True},
                    "empty": {"type": "bool", "default": False},
                },
            },
            "sentinels": {"type": "list", "elements": "str", "required": True},
            "sentinel_port": {"type": "int", "default": 26379},
            "address": {"type": "str", "required": True},
            "login_user": {"type": "str", "required": True},
            "login_password": {"type": "str", "required": True, "no_log": True},
            "promotion_timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    given = module.params
    scout = Scout(given["sentinels"], given["sentinel_port"], given["login_user"], given["login_password"])
    patience = 0 if module.check_mode else given["promotion_timeout"]
    primaries, sources = {}, {}
    try:
        for instance in given["instances"]:
            primaries[instance["name"]], sources[instance["name"]] = find(scout, instance, given["address"], patience)
    except RedisError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, primaries=primaries, sources=sources, silent=sorted(scout.silent))


if __name__ == "__main__":
    main()
