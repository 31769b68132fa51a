"""Follow a failover of Redis through all Sentinels, until none has one in progress."""

from __future__ import annotations

import time
from collections.abc import Callable

from ansible.module_utils.redis_connection import StateError, client, redis

PROBE_TIMEOUT = 1.0
# Seconds for which a Sentinel does nothing after its clock has jumped (TILT mode).
TILT = 30.0
# From these states on the replica is master, and Sentinel does not abort the failover any more.
PROMOTED = {"reconf_slaves", "update_config"}


def address_of(sentinel: redis.Redis, name: str) -> tuple[str, int]:
    """Return the master's address and port."""
    address: tuple[str, int] | None = sentinel.sentinel_get_master_addr_by_name(name)
    if address is None:
        raise StateError(f"Sentinel does not know a master {name!r}; run `site.yml --tags redis`, which tells it")
    return address


def connect_sentinels(
    addresses: list[str], port: int, login: tuple[str, str], name: str
) -> tuple[redis.Redis, list[redis.Redis]]:
    """Return the first Sentinel that has a majority, and the others that answer; fail if none has a majority."""
    majority, others, reasons = [], [], []
    for address in addresses:
        sentinel = client(address, port, *login, timeout=PROBE_TIMEOUT)
        try:
            sentinel.sentinel_ckquorum(name)
            majority.append(sentinel)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            reasons.append(f"{address} does not answer ({error})")
        except redis.ResponseError as error:
            others.append(sentinel)
            reasons.append(f"{address} reports {error}")
    if not majority:
        raise StateError(
            f"no Sentinel has a majority for {name} and could promote a replica: {'; '.join(reasons)}. "
            "Start those that are down"
        )
    return majority[0], majority[1:] + others


class Failover:
    """A failover of one master, as all Sentinels see it."""

    def __init__(self, executor: redis.Redis, others: list[redis.Redis], name: str) -> None:
        self.executor, self.others, self.name = executor, others, name
        self.before = address_of(executor, name)
        master = executor.sentinel_master(name)
        self.epoch: int = master["config-epoch"]
        # Sentinel aborts a failover that waits longer than its timeout in one of two states.
        self.limit = 2 * master["failover-timeout"] / 1000 + TILT

    def view(self, sentinel: redis.Redis) -> tuple[bool, int, tuple[str, int]] | None:
        """Return whether a Sentinel may still promote a replica, and the master's epoch and address."""
        try:
            master = sentinel.sentinel_master(self.name)
            address = address_of(sentinel, self.name)
        except (redis.ConnectionError, redis.TimeoutError):
            return None
        # A Sentinel that finds the master down is about to start a failover. So does a pause of more than a few
        # seconds: it blocks the messages that Sentinels publish on the master, and behind them their pings.
        promoting = {"failover_in_progress", "o_down"} & set(master["flags"].split(","))
        return bool(promoting) and master.get("failover-state") not in PROMOTED, master["config-epoch"], address

    def new_master(self, renew_pause: Callable[[], None]) -> tuple[str, int] | None:
        """Wait until no Sentinel has a failover in progress; return the new master, or None if there is none."""
        deadline = time.monotonic() + self.limit
        while True:
            renew_pause()
            views = {sentinel: self.view(sentinel) for sentinel in (self.executor, *self.others)}
            answers = [view for view in views.values() if view]
            _, epoch, address = max(answers, key=lambda view: view[1], default=(False, self.epoch, self.before))
            promoted = epoch > self.epoch
            busy = [sentinel for sentinel, view in views.items() if view and view[0]]
            # Nobody knows what a Sentinel that does not answer does, until the others report a new master.
            if not busy and (promoted or views[self.executor]):
                return address if promoted else None
            if time.monotonic() > deadline:
                self.stop(busy)
                deadline += self.limit
            time.sleep(0.05)

    def known(self, after: tuple[str, int]) -> bool:
        """Return whether every Sentinel that answers names this master."""
        views = [self.view(sentinel) for sentinel in (self.executor, *self.others)]
        return all(view[2] == after for view in views if view)

    def stop(self, busy: list[redis.Redis]) -> None:
        """Make Sentinels abort a failover that they do not end themselves."""
        try:
            for sentinel in busy or [self.executor]:
                sentinel.sentinel_reset(self.name)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise StateError(
                f"the Sentinel that was told to promote a replica has not answered for {self.limit:.0f} s: {error}."
                f" Writes continue on {self.before[0]}. If that Sentinel promotes a replica when it runs again, these"
                " writes are lost. Restart it now, which makes it forget the failover, then run this again."
            ) from error
