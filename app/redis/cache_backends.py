"""Where the cache keeps its bytes: in this process, or in Redis."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from redis import Redis
from redis.exceptions import RedisError

log = structlog.get_logger(__name__)

# Seconds for which a cache that has failed is not asked again, so that a dead one costs one timeout and not one for each request.
REST_AFTER_FAILURE = 1.0
MOST_ENTRIES = 10_000


class CacheUnavailableError(Exception):
    """The cache does not answer."""


@dataclass(frozen=True)
class Window:
    """A counter and the time that it has left."""

    count: int
    seconds_left: float

    @property
    def ends(self) -> float:
        """The time at which the counter begins again."""
        return time.time() + self.seconds_left


@dataclass(frozen=True)
class Usage:
    """How full a cache is, and how often it had what was asked for. None where nobody counts."""

    keys: int
    bytes: int | None = None
    most_bytes: int | None = None
    hits: int | None = None
    misses: int | None = None
    evicted: int | None = None

    @property
    def hit_ratio(self) -> float | None:
        """Keys that were found, of those asked for."""
        return (
            self.hits / (self.hits + self.misses)
            if self.hits is not None and self.misses is not None and self.hits + self.misses
            else None
        )


class Backend(Protocol):
    """What the cache needs of a key-value store. Times are seconds."""

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Return the keys' values."""

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for some time."""

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep a value unless there is one; return whether it was kept."""

    def claim(self, key: str, seconds: float, keys: list[str]) -> list[bytes | None] | None:
        """Mark a key for some time and return other keys' values of after that; None where it is marked already."""

    def drop(self, key: str) -> None:
        """Forget a key."""

    def count(self, key: str, seconds: int, amount: int) -> Window:
        """Add to a counter that lives for some time from its first count on."""

    def usage(self) -> Usage:
        """Return how full it is."""

    def ping(self) -> None:
        """Raise CacheUnavailableError where the store does not answer."""


class MemoryBackend:
    """Inside this process: for development and tests, and while Redis is away."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.Lock()

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Return the keys' values."""
        with self._lock:
            return [self._get(key) for key in keys]

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for some time."""
        with self._lock:
            self._put(key, value, seconds)

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep a value unless there is one; return whether it was kept."""
        with self._lock:
            if self._get(key) is not None:
                return False
            self._put(key, value, seconds)
            return True

    def claim(self, key: str, seconds: float, keys: list[str]) -> list[bytes | None] | None:
        """Mark a key for some time and return other keys' values of after that; None where it is marked already."""
        return self.get_many(keys) if self.add(key, b"1", seconds) else None

    def drop(self, key: str) -> None:
        """Forget a key."""
        with self._lock:
            self._entries.pop(key, None)

    def count(self, key: str, seconds: int, amount: int) -> Window:
        """Add to a counter that lives for some time from its first count on."""
        with self._lock:
            left = self._entries[key][1] - time.monotonic() if self._get(key) is not None else float(seconds)
            total = int(self._get(key) or 0) + amount
            self._put(key, str(total).encode(), left)
            return Window(total, left)

    def usage(self) -> Usage:
        """Return how many entries this process keeps."""
        return Usage(keys=len(self._entries))

    def ping(self) -> None:
        """Do nothing: this process is alive."""

    def _get(self, key: str) -> bytes | None:
        value, until = self._entries.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    def _put(self, key: str, value: bytes, seconds: float) -> None:
        if len(self._entries) >= MOST_ENTRIES:
            self._entries.clear()
        self._entries[key] = (value, time.monotonic() + seconds)


class RedisBackend:
    """In Redis. After a failure it rests for a moment instead of making every request wait for a timeout."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._rests_until = 0.0

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Return the keys' values."""
        values: list[bytes | None] = self._ask(lambda: self._client.mget(keys))
        return values

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Keep a value for some time."""
        self._ask(lambda: self._client.set(key, value, px=int(seconds * 1000)))

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Keep a value unless there is one; return whether it was kept."""
        return bool(self._ask(lambda: self._client.set(key, value, px=int(seconds * 1000), nx=True)))

    def claim(self, key: str, seconds: float, keys: list[str]) -> list[bytes | None] | None:
        """Mark a key for some time and return other keys' values of after that, in one round trip; None where it is marked already."""
        pipeline = self._client.pipeline()
        pipeline.set(key, b"1", px=int(seconds * 1000), nx=True)
        pipeline.mget(keys)
        claimed, values = self._ask(pipeline.execute)
        return values if claimed else None

    def drop(self, key: str) -> None:
        """Forget a key."""
        self._ask(lambda: self._client.delete(key))

    def count(self, key: str, seconds: int, amount: int) -> Window:
        """Add to a counter that lives for some time from its first count on: one round trip."""
        pipeline = self._client.pipeline()
        pipeline.incrby(key, amount)
        pipeline.expire(key, seconds, nx=True)
        pipeline.pttl(key)
        total, _, milliseconds = self._ask(pipeline.execute)
        return Window(total, milliseconds / 1000)

    def usage(self) -> Usage:
        """Return what Redis says of itself."""
        info: dict[str, Any] = self._ask(self._client.info)
        return Usage(
            # Beside db0 there is db0_distrib_strings_sizes since Redis 8.
            keys=sum(database["keys"] for name, database in info.items() if re.fullmatch(r"db\d+", name)),
            bytes=info["used_memory"],
            most_bytes=info["maxmemory"] or None,
            hits=info["keyspace_hits"],
            misses=info["keyspace_misses"],
            evicted=info["evicted_keys"],
        )

    def ping(self) -> None:
        """Raise CacheUnavailableError where Redis does not answer, rest or not."""
        self._rests_until = 0.0
        self._ask(self._client.ping)

    def _ask(self, command: Callable[[], Any]) -> Any:
        if time.monotonic() < self._rests_until:
            raise CacheUnavailableError
        try:
            return command()
        except RedisError as error:
            self._rests_until = time.monotonic() + REST_AFTER_FAILURE
            log.warning("cache unavailable", error=str(error))
            raise CacheUnavailableError from error
