#!/usr/bin/python
"""Find the master of each Redis instance."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ansible.module_utils.redis_connection import StateError, build_module, client, redis

DOCUMENTATION = r"""
module: redis_primary
short_description: Find the master of each Redis instance
requirements: [redis (Debian's python3-redis)]
description:
  - Queries every Sentinel. The master that most of them name wins; if two have as many votes, the newer one wins.
  - If no Sentinel knows a master, queries the instances which master they follow.
  - If no server knows a master, as on a fresh fleet, the first of O(instances[].candidates) is the master.
  - A host that has lost its data is not the master as long as another copy holds keys, whatever Sentinel reports. An
    empty master would empty its replicas too. So the module waits until Sentinel has promoted the other copy.
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
        description: Addresses of the hosts that may be master. The first is the master on a fresh fleet.
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
    description: Password of O(login_user).
    type: str
    required: true
  promotion_timeout:
    description: Seconds to wait until Sentinel promotes a copy that has data, if this host's copy is empty.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Find the masters
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
  description: Where the answer comes from, C(sentinel), C(instances) or C(inventory).
  type: dict
  returned: always
  sample: {store: sentinel}
sentinels_down:
  description: Addresses of the Sentinels that do not answer.
  type: list
  elements: str
  returned: always
"""

PROBE_TIMEOUT = 1.0


class Discovery:
    """Query Sentinels and instances; a server that is down or rejects the login counts as knowing nothing."""

    def __init__(self, sentinels: list[str], sentinel_port: int, user: str, password: str) -> None:
        self.sentinels = sentinels
        self.sentinel_port = sentinel_port
        self.login = (user, password)
        self.down: set[str] = set()
        self.rejecting: set[str] = set()

    def from_sentinels(self, name: str) -> str | None:
        """Return the master that most Sentinels name; if votes are equal, the one of the latest failover."""
        votes: Counter[str] = Counter()
        epochs: Counter[str] = Counter()
        for address in self.sentinels:
            if address in self.down:
                continue
            try:
                with client(address, self.sentinel_port, *self.login, timeout=PROBE_TIMEOUT) as sentinel:
                    master = sentinel.sentinel_master(name)
            except redis.AuthenticationError:
                self.rejecting.add(address)
            except (redis.ConnectionError, redis.TimeoutError):
                self.down.add(address)
            except redis.ResponseError:
                continue
            else:
                votes[master["ip"]] += 1
                epochs[master["ip"]] = max(epochs[master["ip"]], master["config-epoch"])
        return max(votes, key=lambda ip: (votes[ip], epochs[ip]), default=None)

    def from_instances(self, copies: list[str], port: int) -> str | None:
        """Return the master that most copies follow; a master with keys or replicas votes for itself."""
        votes: Counter[str] = Counter()
        for address in copies:
            info = self.info(address, port)
            if info.get("role") == "slave":
                votes[info["master_host"]] += 1
            elif info.get("role") == "master" and (info["connected_slaves"] or "db0" in info):
                votes[address] += 1
        return max(votes, key=lambda ip: votes[ip], default=None)

    def with_keys(self, copies: list[str], port: int) -> list[str]:
        """Return the copies that hold a key."""
        return [address for address in copies if any(field.startswith("db") for field in self.info(address, port))]

    def info(self, address: str, port: int) -> dict[str, Any]:
        """Return the role and the databases of one copy; an empty dict if it does not answer."""
        try:
            with client(address, port, *self.login, timeout=PROBE_TIMEOUT) as instance:
                return dict(instance.info("replication", "keyspace"))
        except redis.AuthenticationError:
            self.rejecting.add(address)
        except redis.RedisError:
            pass
        return {}


def find(discovery: Discovery, instance: dict[str, Any], own_address: str, promotion_timeout: float) -> tuple[str, str]:
    """Return the master's address and where it comes from; fail if it is this host and its data is lost."""
    deadline = time.monotonic() + promotion_timeout
    others = [address for address in instance["copies"] if address != own_address]
    while True:
        if address := discovery.from_sentinels(instance["name"]):
            source = "sentinel"
        elif address := discovery.from_instances(instance["copies"], instance["port"]):
            source = "instances"
        else:
            address, source = instance["candidates"][0], "inventory"
            # Right after a password change there are copies, but they all reject this login.
            if discovery.rejecting and instance["empty"]:
                raise StateError(
                    f"{own_address} has no {instance['name']} yet, and {', '.join(sorted(discovery.rejecting))} rejects"
                    f" the password of {discovery.login[0]}. Run this on those hosts first to give them the new one."
                )
        if not (instance["empty"] and address == own_address):
            return address, source
        full = discovery.with_keys(others, instance["port"])
        if not full:
            return address, source
        if time.monotonic() > deadline:
            raise StateError(
                f"{own_address} should be master of {instance['name']} but has no data, while {', '.join(full)} has."
                f" Run `SENTINEL FAILOVER {instance['name']}` on a Sentinel, then run this again."
            )
        time.sleep(1)


def main() -> None:
    module = build_module(
        instances={
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
        sentinels={"type": "list", "elements": "str", "required": True},
        sentinel_port={"type": "int", "default": 26379},
        address={"type": "str", "required": True},
        promotion_timeout={"type": "int", "default": 60},
    )
    given = module.params
    discovery = Discovery(given["sentinels"], given["sentinel_port"], given["login_user"], given["login_password"])
    timeout = 0 if module.check_mode else given["promotion_timeout"]
    primaries, sources = {}, {}
    try:
        for instance in given["instances"]:
            name = instance["name"]
            primaries[name], sources[name] = find(discovery, instance, given["address"], timeout)
    except StateError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, primaries=primaries, sources=sources, sentinels_down=sorted(discovery.down))


if __name__ == "__main__":
    main()
