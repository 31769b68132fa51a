#!/usr/bin/python
"""Switch a master over to a replica without losing an acknowledged write."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ansible.module_utils.redis_connection import StateError, build_module, client, connect, redis

DOCUMENTATION = r"""
module: redis_switchover
short_description: Switch a master over to a replica without losing an acknowledged write
requirements: [redis (Debian's python3-redis)]
description:
  - A plain C(SENTINEL FAILOVER) loses the writes that the old master acknowledges until Sentinel makes it a replica.
    This module pauses writes on the master, waits until the replica has all of them and lets Sentinel promote the
    replica. Then it makes the old master a replica and unpauses the clients.
  - If the replica is not promoted in time, writes continue on the old master, and the module fails without a change.
options:
  name:
    description: Name under which Sentinel monitors the master.
    type: str
    required: true
  to:
    description: Address of the replica to promote. By default Sentinel chooses one.
    type: str
    default: ""
  pause:
    description: Maximum time in seconds that writes are paused.
    type: int
    default: 10
  sentinel_host:
    description: Address of a Sentinel.
    type: str
    default: 127.0.0.1
  sentinel_port:
    description: Port of that Sentinel.
    type: int
    default: 26379
  login_user:
    description: A user that may run every command on instances and on Sentinels.
    type: str
    required: true
  login_password:
    description: Password of O(login_user).
    type: str
    required: true
attributes:
  check_mode:
    support: full
author: [Flaskfleet]
"""

EXAMPLES = r"""
- name: Switch the store over
  redis_switchover:
    name: store
    login_user: admin
    login_password: "{{ redis_admin_password }}"
"""

RETURN = r"""
before:
  description: Address of the master before the switchover.
  type: str
  returned: always
after:
  description: Address of the master after the switchover. In check mode the value of O(to).
  type: str
  returned: always
seconds:
  description: Time in seconds that writes were paused.
  type: float
  returned: success
"""

# Sentinel reads the priority of replicas every ten seconds.
PRIORITY_TIMEOUT = 25.0
PROMOTION_TIMEOUT = 6.0
FOLLOW_TIMEOUT = 30.0


def wait(probe: Callable[[], bool], seconds: float) -> bool:
    """Return whether the probe became true in time."""
    deadline = time.monotonic() + seconds
    while not (true := probe()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return true


def address_of(sentinel: redis.Redis, name: str) -> tuple[str, int]:
    """Return the master's address and port."""
    address: tuple[str, int] | None = sentinel.sentinel_get_master_addr_by_name(name)
    if address is None:
        raise StateError(f"Sentinel does not know a master {name!r}")
    return address


def replicas(sentinel: redis.Redis, name: str) -> list[dict[str, Any]]:
    """Return the healthy replicas that may be promoted, as Sentinel sees them."""
    return [
        replica
        for replica in sentinel.sentinel_slaves(name)
        if replica["flags"] == "slave" and replica["master-link-status"] == "ok" and replica["slave-priority"] > 0
    ]


def choose(sentinel: redis.Redis, name: str, to: str) -> list[dict[str, Any]]:
    """Return the replicas that can be promoted; fail if there is none, or if Sentinel has no majority."""
    try:
        sentinel.sentinel_ckquorum(name)
    except redis.ResponseError as error:
        raise StateError(
            f"the Sentinels have no majority for {name}, so none can promote a replica: {error}"
        ) from error
    candidates = replicas(sentinel, name)
    if not candidates:
        raise StateError(f"{name} has no healthy replica that may be promoted, so its master holds the last copy")
    names = [candidate["ip"] for candidate in candidates]
    if to and to not in names:
        raise StateError(f"{to} is not a healthy replica of {name} that may be promoted; choose {' or '.join(names)}")
    return candidates


def prefer(
    sentinel: redis.Redis, login: tuple[str, str], name: str, chosen: dict[str, Any], rivals: int
) -> Callable[[], None]:
    """Make Sentinel choose this replica; return a function that undoes it."""
    if not rivals:
        return lambda: None

    def set_priority(priority: int) -> None:
        with connect(chosen["ip"], chosen["port"], *login) as instance:
            instance.config_set("replica-priority", priority)

    def noticed() -> bool:
        return any((one["ip"], one["slave-priority"]) == (chosen["ip"], 1) for one in replicas(sentinel, name))

    set_priority(1)
    if not wait(noticed, PRIORITY_TIMEOUT):
        set_priority(chosen["slave-priority"])
        raise StateError(f"Sentinel has not noticed the new priority of {chosen['ip']} within {PRIORITY_TIMEOUT:.0f} s")
    return lambda: set_priority(chosen["slave-priority"])


def caught_up(master: redis.Redis, login: tuple[str, str], candidates: list[dict[str, Any]]) -> bool:
    """Return whether every candidate has all writes of the paused master."""
    offset = master.info("replication")["master_repl_offset"]
    for candidate in candidates:
        with client(candidate["ip"], candidate["port"], *login) as replica:
            if replica.info("replication").get("slave_repl_offset", -1) < offset:
                return False
    return True


def switch_over(
    sentinel: redis.Redis,
    master: redis.Redis,
    login: tuple[str, str],
    name: str,
    candidates: list[dict[str, Any]],
    pause: int,
) -> str:
    """Pause writes, promote, make the old master a replica and unpause; return the new master's address."""
    before = address_of(sentinel, name)
    master.client_pause(pause * 1000, all=False)
    try:
        if not wait(lambda: caught_up(master, login, candidates), pause / 4):
            raise StateError("a replica did not catch up with the paused master in time")
        try:
            sentinel.sentinel_failover(name)
        except redis.ResponseError as error:
            raise StateError(f"Sentinel refuses a failover of {name} now: {error}") from error
        if not wait(lambda: address_of(sentinel, name) != before, min(PROMOTION_TIMEOUT, pause * 0.6)):
            raise StateError(
                "no replica was promoted in time. Sentinel refuses another failover within twice its failover timeout."
            )
        after = address_of(sentinel, name)
        master.replicaof(*after)
        # Without this, a restart now would bring it back as master.
        master.config_rewrite()
        # Makes clients query Sentinel for the new master.
        master.client_kill_filter(_type="normal", skipme=True)
    finally:
        master.client_unpause()
    return after[0]


def main() -> None:
    module = build_module(
        name={"type": "str", "required": True},
        to={"type": "str", "default": ""},
        pause={"type": "int", "default": 10},
        sentinel_host={"type": "str", "default": "127.0.0.1"},
        sentinel_port={"type": "int", "default": 26379},
    )
    given = module.params
    name, login = given["name"], (given["login_user"], given["login_password"])
    result: dict[str, Any] = {"before": "", "after": ""}
    try:
        with connect(given["sentinel_host"], given["sentinel_port"], *login, start_timeout=0) as sentinel:
            address, port = address_of(sentinel, name)
            result |= {"before": address, "after": address}
            if given["to"] == address:
                module.exit_json(changed=False, seconds=0.0, **result)
            candidates = choose(sentinel, name, given["to"])
            if module.check_mode:
                module.exit_json(changed=True, seconds=0.0, **result | {"after": given["to"]})
            chosen = [candidate for candidate in candidates if given["to"] in {"", candidate["ip"]}]
            undo = prefer(sentinel, login, name, chosen[0], len(candidates) - 1) if given["to"] else lambda: None
            try:
                with connect(address, port, *login, start_timeout=0) as master:
                    started = time.monotonic()
                    result["after"] = switch_over(sentinel, master, login, name, chosen, given["pause"])
                    seconds = round(time.monotonic() - started, 2)
            finally:
                undo()
        with connect(address, port, *login) as former:
            if not wait(lambda: former.info("replication").get("master_link_status") == "up", FOLLOW_TIMEOUT):
                module.fail_json(
                    msg=f"{result['after']} is master of {name}, but {address} does not follow it after"
                    f" {FOLLOW_TIMEOUT:.0f} s: check `journalctl -u redis@{name}` there.",
                    **result,
                )
    except (redis.ConnectionError, redis.TimeoutError) as error:
        module.fail_json(msg=f"{name} was not switched over, because a server does not answer: {error}", **result)
    except (StateError, redis.RedisError) as error:
        module.fail_json(msg=f"{name} was not switched over: {error}", **result)
    module.exit_json(changed=True, seconds=seconds, **result)


if __name__ == "__main__":
    main()
