#!/usr/bin/python
"""Hand a master's role to a replica without losing an acknowledged write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.redis_connection import Connection, RedisError, connect

DOCUMENTATION = r"""
module: redis_switchover
short_description: Hand a master's role to a replica without losing an acknowledged write
description:
  - A plain C(SENTINEL FAILOVER) loses what the old master acknowledges until Sentinel turns it into a replica. This module pauses writes
    on the master, waits until the replica has all of them, has Sentinel promote it, and turns the old master into its replica before
    it lets clients go on.
  - When the replica is not promoted in time, writes go on at the old master, and the module fails with nothing changed.
options:
  name:
    description: Name of the master, as Sentinel knows it.
    type: str
    required: true
  to:
    description: Address of the replica to promote; Sentinel's choice by default.
    type: str
    default: ""
  pause:
    description: Seconds for which writes may wait.
    type: int
    default: 10
  sentinel_host:
    description: Address of a Sentinel.
    type: str
    default: 127.0.0.1
  sentinel_port:
    description: Its port.
    type: int
    default: 26379
  login_user:
    description: A user that may do everything, on instances and on Sentinels.
    type: str
    required: true
  login_password:
    description: Its password.
    type: str
    required: true
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Hand the store over
  redis_switchover:
    name: store
    login_user: admin
    login_password: "{{ redis_admin_password }}"
"""

RETURN = r"""
before:
  description: Address of the master before.
  type: str
  returned: always
after:
  description: Address of the master after; in check mode of the replica that would become it, empty where Sentinel chooses.
  type: str
  returned: always
seconds:
  description: How long writes were paused.
  type: float
  returned: success
"""

# Sentinel reads the priority of replicas every ten seconds.
PRIORITY_TIMEOUT = 25.0
PROMOTION_TIMEOUT = 6.0
FOLLOW_TIMEOUT = 30.0


class SwitchoverError(Exception):
    """The role is not handed over; the message says why, and nothing is changed."""


def wait(probe: Callable[[], bool], seconds: float) -> bool:
    """Return whether the probe came true in time."""
    deadline = time.monotonic() + seconds
    while not (true := probe()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return true


def address_of(sentinel: Connection, name: str) -> tuple[str, int]:
    """Return where the master is."""
    reply = sentinel.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", name)
    if reply is None:
        raise SwitchoverError(f"Sentinel does not know a master {name!r}")
    return reply[0], int(reply[1])


def replicas(sentinel: Connection, name: str) -> list[dict[str, str]]:
    """Return what Sentinel knows of the replicas that may be promoted and are well."""
    found = [dict(zip(reply[::2], reply[1::2], strict=True)) for reply in sentinel.call("SENTINEL", "REPLICAS", name)]
    return [
        replica
        for replica in found
        if replica["flags"] == "slave" and replica["master-link-status"] == "ok" and int(replica["slave-priority"]) > 0
    ]


def choose(sentinel: Connection, name: str, to: str) -> list[dict[str, str]]:
    """Return the replicas that can take the role over; refuse where none can, or Sentinel cannot decide."""
    try:
        sentinel.call("SENTINEL", "CKQUORUM", name)
    except RedisError as error:
        raise SwitchoverError(f"Sentinels have no majority for {name}, so that none can promote: {error}") from error
    candidates = replicas(sentinel, name)
    if not candidates:
        raise SwitchoverError(f"{name} has no healthy replica that may be promoted: its master holds the last copy")
    if to and to not in {candidate["ip"] for candidate in candidates}:
        names = ", ".join(candidate["ip"] for candidate in candidates)
        raise SwitchoverError(f"{to} is no healthy replica of {name} that may be promoted; these are: {names}")
    return candidates


def prefer(
    sentinel: Connection, login: tuple[str, str], name: str, chosen: dict[str, str], rivals: int
) -> Callable[[], None]:
    """Have Sentinel choose this replica; return what takes that back."""
    if not rivals:
        return lambda: None

    def set_priority(priority: str) -> None:
        with connect(chosen["ip"], int(chosen["port"]), *login) as instance:
            instance.call("CONFIG", "SET", "replica-priority", priority)

    set_priority("1")
    if not wait(
        lambda: any(one["ip"] == chosen["ip"] and one["slave-priority"] == "1" for one in replicas(sentinel, name)),
        PRIORITY_TIMEOUT,
    ):
        set_priority(chosen["slave-priority"])
        raise SwitchoverError(f"Sentinel has not noticed the priority of {chosen['ip']}")
    return lambda: set_priority(chosen["slave-priority"])


def caught_up(master: Connection, login: tuple[str, str], candidates: list[dict[str, str]]) -> bool:
    """Whether every replica that could be promoted has all that the paused master has."""
    offset = int(master.info("replication")["master_repl_offset"])
    for candidate in candidates:
        with Connection(candidate["ip"], int(candidate["port"]), *login) as replica:
            if int(replica.info("replication").get("slave_repl_offset", -1)) < offset:
                return False
    return True


def hand_over(
    sentinel: Connection,
    master: Connection,
    login: tuple[str, str],
    name: str,
    candidates: list[dict[str, str]],
    pause: int,
) -> str:
    """Pause writes, promote, make the old master a replica and let clients go on; return the new master's address."""
    before = address_of(sentinel, name)
    master.call("CLIENT", "PAUSE", pause * 1000, "WRITE")
    try:
        if not wait(lambda: caught_up(master, login, candidates), pause / 4):
            raise SwitchoverError("a replica did not catch up with the paused master in time")
        try:
            sentinel.call("SENTINEL", "FAILOVER", name)
        except RedisError as error:
            raise SwitchoverError(f"Sentinel refuses to fail {name} over now: {error}") from error
        if not wait(lambda: address_of(sentinel, name) != before, min(PROMOTION_TIMEOUT, pause * 0.6)):
            raise SwitchoverError(
                "no replica was promoted in time; Sentinel refuses another try within twice its failover timeout"
            )
        after = address_of(sentinel, name)
        master.call("REPLICAOF", *after)
        # Restarted now, it would otherwise come back as the master of before.
        master.call("CONFIG", "REWRITE")
        # Clients ask Sentinel again where to write.
        master.call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    finally:
        master.call("CLIENT", "UNPAUSE")
    return after[0]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "to": {"type": "str", "default": ""},
            "pause": {"type": "int", "default": 10},
            "sentinel_host": {"type": "str", "default": "127.0.0.1"},
            "sentinel_port": {"type": "int", "default": 26379},
            "login_user": {"type": "str", "required": True},
            "login_password": {"type": "str", "required": True, "no_log": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    name, login = given["name"], (given["login_user"], given["login_password"])
    result: dict[str, Any] = {"before": "", "after": ""}
    try:
        with connect(given["sentinel_host"], given["sentinel_port"], *login, patience=0) as sentinel:
            address, port = address_of(sentinel, name)
            result |= {"before": address, "after": address}
            if given["to"] == address:
                module.exit_json(changed=False, seconds=0.0, **result)
            candidates = choose(sentinel, name, given["to"])
            if module.check_mode:
                module.exit_json(changed=True, seconds=0.0, **result | {"after": given["to"]})
            chosen = [candidate for candidate in candidates if given["to"] in {"", candidate["ip"]}]
            forget = prefer(sentinel, login, name, chosen[0], len(candidates) - 1) if given["to"] else lambda: None
            try:
                with connect(address, port, *login, patience=0) as master:
                    started = time.monotonic()
                    result["after"] = hand_over(sentinel, master, login, name, chosen, given["pause"])
                    seconds = round(time.monotonic() - started, 2)
            finally:
                forget()
        with connect(address, port, *login) as former:
            if not wait(lambda: former.info("replication").get("master_link_status") == "up", FOLLOW_TIMEOUT):
                module.fail_json(
                    msg=f"{result['after']} is master of {name}, but {address} does not follow it yet", **result
                )
    except (SwitchoverError, RedisError) as error:
        module.fail_json(msg=f"{name} is not handed over: {error}", **result)
    except OSError as error:
        module.fail_json(msg=f"{name}: a server does not answer: {error}", **result)
    module.exit_json(changed=True, seconds=seconds, **result)


if __name__ == "__main__":
    main()
