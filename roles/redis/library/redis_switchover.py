#!/usr/bin/python
"""Switch a master over to a replica without losing an acknowledged write."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from ansible.module_utils.redis_connection import StateError, build_module, client, connect, redis
from ansible.module_utils.redis_failover import Failover, address_of, connect_sentinels

DOCUMENTATION = r"""
module: redis_switchover
short_description: Switch a master over to a replica without losing an acknowledged write
requirements: [redis (Debian's python3-redis)]
description:
  - A plain C(SENTINEL FAILOVER) loses the writes that the old master acknowledges until Sentinel makes it a replica.
    This module pauses writes on the master, waits until the replica has all of them and lets Sentinel promote the
    replica. Then it makes the old master a replica and unpauses the clients.
  - Returns when every Sentinel that answers names the new master.
  - Renews the pause until no Sentinel reports a failover in progress. If no replica was promoted by then, writes
    continue on the old master, and the module fails without a change.
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
    description: Seconds until writes continue if the module is killed. It renews the pause as long as a failover is
      in progress, which Sentinel ends after at most twice its failover timeout.
    type: int
    default: 10
  sentinels:
    description: Addresses of all Sentinels. The first that answers and has a majority promotes the replica.
    type: list
    elements: str
    required: true
  sentinel_port:
    description: Port of all Sentinels.
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
    sentinels: [10.0.0.1, 10.0.0.2, 10.0.0.3]
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
FOLLOW_TIMEOUT = 30.0
# Sentinels tell one another every two seconds which replica was promoted.
KNOWN_TIMEOUT = 20.0


class PromotedError(Exception):
    """A replica was promoted, but something failed afterwards."""


def wait(probe: Callable[[], bool], seconds: float) -> bool:
    """Return whether the probe became true in time."""
    deadline = time.monotonic() + seconds
    while not (true := probe()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return true


def replicas(sentinel: redis.Redis, name: str) -> list[dict[str, Any]]:
    """Return the healthy replicas that may be promoted, as Sentinel sees them."""
    return [
        replica
        for replica in sentinel.sentinel_slaves(name)
        if replica["flags"] == "slave" and replica["master-link-status"] == "ok" and replica["slave-priority"] > 0
    ]


def choose(sentinel: redis.Redis, name: str, to: str) -> list[dict[str, Any]]:
    """Return the replicas that can be promoted; fail if there is none."""
    candidates = replicas(sentinel, name)
    if not candidates:
        raise StateError(
            f"{name} has no healthy replica that may be promoted, so its master holds the last copy. `make status` "
            "shows what its replicas lack"
        )
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
        raise StateError(
            f"Sentinel has not noticed the new priority of {chosen['ip']} within {PRIORITY_TIMEOUT:.0f} s. Check that "
            "Sentinel reaches it, then run this again"
        )
    return lambda: set_priority(chosen["slave-priority"])


def caught_up(master: redis.Redis, login: tuple[str, str], candidates: list[dict[str, Any]]) -> bool:
    """Return whether every candidate has all writes of the paused master."""
    try:
        offset = master.info("replication")["master_repl_offset"]
        for candidate in candidates:
            with client(candidate["ip"], candidate["port"], *login) as replica:
                if replica.info("replication").get("slave_repl_offset", -1) < offset:
                    return False
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    return True


def switch_over(
    failover: Failover,
    master: redis.Redis,
    login: tuple[str, str],
    candidates: list[dict[str, Any]],
    pause: int,
) -> tuple[str, int]:
    """Pause writes, promote, make the old master a replica and unpause; return the new master's address and port.

    Unpauses only if no replica was promoted, or if the old master is a replica. In between, the pause ends by itself.
    """

    def pause_writes() -> None:
        with suppress(redis.ConnectionError, redis.TimeoutError):  # then it accepts no writes
            master.client_pause(pause * 1000, all=False)

    master.client_pause(pause * 1000, all=False)
    try:
        if not wait(lambda: caught_up(master, login, candidates), pause / 4):
            raise StateError(
                f"a replica did not catch up with the paused master within {pause / 4:.0f} s. Run this again when "
                "`make status` reports no replica that is behind"
            )
        try:
            failover.executor.sentinel_failover(failover.name)
        except redis.ResponseError as error:
            raise StateError(
                f"Sentinel refuses a failover of {failover.name} now: {error}. Run this again in a few minutes"
            ) from error
        except redis.TimeoutError:
            pass  # It may still do it.
        if (after := failover.new_master(pause_writes)) is None:
            raise StateError(
                "Sentinel ended the failover without promoting a replica: check `journalctl -u redis-sentinel`."
                " Sentinel refuses another failover within twice its failover timeout."
            )
    except StateError:
        master.client_unpause()
        raise
    try:
        master.replicaof(*after)
        # Without this, a restart now would bring it back as master.
        master.config_rewrite()
        # Makes clients query Sentinel for the new master.
        master.client_kill_filter(_type="normal", skipme=True)
        master.client_unpause()
    except (redis.ConnectionError, redis.TimeoutError) as error:
        raise PromotedError(f"{after[0]} is master of {failover.name}, but the old master fails: {error}") from error
    return after


def main() -> None:
    module = build_module(
        name={"type": "str", "required": True},
        to={"type": "str", "default": ""},
        pause={"type": "int", "default": 10},
        sentinels={"type": "list", "elements": "str", "required": True},
        sentinel_port={"type": "int", "default": 26379},
    )
    given = module.params
    name, login = given["name"], (given["login_user"], given["login_password"])
    result: dict[str, Any] = {"before": "", "after": ""}
    try:
        sentinel, others = connect_sentinels(given["sentinels"], given["sentinel_port"], login, name)
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
                failover = Failover(sentinel, others, name)
                after = switch_over(failover, master, login, chosen, given["pause"])
                result["after"] = after[0]
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
        if not wait(lambda: failover.known(after), KNOWN_TIMEOUT):
            module.fail_json(
                msg=f"{result['after']} is master of {name}, but not every Sentinel knows it after"
                f" {KNOWN_TIMEOUT:.0f} s: check `journalctl -u redis-sentinel` on their hosts, and that they reach one"
                " another. Then run this again.",
                **result,
            )
    except PromotedError as error:
        module.fail_json(msg=f"{error}. Sentinel makes it a replica when it answers again.", **result)
    except (redis.ConnectionError, redis.TimeoutError) as error:
        module.fail_json(msg=f"{name} was not switched over, because a server does not answer: {error}", **result)
    except (StateError, redis.RedisError) as error:
        module.fail_json(msg=f"{name} was not switched over: {error}", **result)
    module.exit_json(changed=True, seconds=seconds, **result)


if __name__ == "__main__":
    main()
