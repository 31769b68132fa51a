"""Backends of the cache: the memory of this process, or Redis."""

import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from redis import Redis
from redis.exceptions import RedisError

T = TypeVar("T")
log = structlog.get_logger(__name__)

# After a failure Redis is not used for this time. So a dead Redis costs one timeout a second instead of one for each
# request.
RETRY_AFTER = 1.0
MAX_ENTRIES = 10_000


class CacheUnavailableError(Exception):
    """The cache does not answer."""


@dataclass(frozen=True)
class Window:
    """A counter, and the seconds until it expires."""

    count: int
    seconds_left: float


@dataclass(frozen=True)
class Usage:
    """Size and hit rate of a cache. None where the backend has no such number."""

    keys: int
    bytes: int | None = None
    max_bytes: int | None = None
    hits: int | None = None
    misses: int | None = None
    evicted: int | None = None

    @property
    def hit_ratio(self) -> float | None:
        """The fraction of reads that found their key."""
        reads = (self.hits or 0) + (self.misses or 0)
        return (self.hits or 0) / reads if reads else None


class MemoryBackend:
    """The memory of this process: for development, for tests, and while Redis is down.

    RedisBackend documents the methods. All times are seconds.
    """

    def __init__(self) -> None:
        self._entries: dict[str, tuple[bytes, float]] = {}
        self._lock = threading.RLock()

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        with self._lock:
            return [self._get(key) for key in keys]

    def put(self, key: str, value: bytes, seconds: float) -> None:
        with self._lock:
            if len(self._entries) >= MAX_ENTRIES:
                self._entries.clear()
            self._entries[key] = (value, time.monotonic() + seconds)

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        with self._lock:
            if self._get(key) is not None:
                return False
            self.put(key, value, seconds)
            return True

    def claim(self, key: str, seconds: float, keys: list[str]) -> list[bytes | None] | None:
        return self.get_many(keys) if self.add(key, b"1", seconds) else None

    def drop(self, key: str) -> None:
        with self._lock:
            self._entries.pop(key, None)

    def count(self, key: str, seconds: int, amount: int) -> Window:
        with self._lock:
            left = self._entries[key][1] - time.monotonic() if self._get(key) is not None else float(seconds)
            total = int(self._get(key) or 0) + amount
            self.put(key, str(total).encode(), left)
            return Window(total, left)

    def usage(self) -> Usage:
        """Return the number of entries in this process."""
        return Usage(keys=len(self._entries))

    def ping(self) -> None:
        """Do nothing: memory is always available."""

    def _get(self, key: str) -> bytes | None:
        value, until = self._entries.get(key, (None, 0.0))
        return value if until > time.monotonic() else None


class RedisBackend:
    """Redis. After a failure all calls fail at once for a moment, so that not every request waits for a timeout."""

    def __init__(self, client: Redis) -> None:
        self._client: Any = client  # redis-py declares that each command may return an awaitable
        self._retry_at = 0.0

    def get_many(self, keys: list[str]) -> list[bytes | None]:
        """Return the values of the keys."""
        return self._run(lambda: self._client.mget(keys))

    def put(self, key: str, value: bytes, seconds: float) -> None:
        """Store a value that expires."""
        self._run(lambda: self._client.set(key, value, px=int(seconds * 1000)))

    def add(self, key: str, value: bytes, seconds: float) -> bool:
        """Store a value if the key has none. Return whether it was stored."""
        return bool(self._run(lambda: self._client.set(key, value, px=int(seconds * 1000), nx=True)))

    def claim(self, key: str, seconds: float, keys: list[str]) -> list[bytes | None] | None:
        """Lock a key, then return the values of `keys`, in one round trip. Return None if it is locked."""
        pipeline = self._client.pipeline()
        pipeline.set(key, b"1", px=int(seconds * 1000), nx=True)
        pipeline.mget(keys)
        claimed, values = self._run(pipeline.execute)
        return values if claimed else None

    def drop(self, key: str) -> None:
        """Delete a key."""
        self._run(lambda: self._client.delete(key))

    def count(self, key: str, seconds: int, amount: int) -> Window:
        """Add to a counter that expires some time after its first count, in one round trip."""
        pipeline = self._client.pipeline()
        pipeline.incrby(key, amount)
        pipeline.expire(key, seconds, nx=True)
        pipeline.pttl(key)
        total, _, milliseconds = self._run(pipeline.execute)
        return Window(total, milliseconds / 1000)

    def usage(self) -> Usage:
        """Return the numbers of Redis' INFO."""
        info: dict[str, Any] = self._run(self._client.info)
        return Usage(
            # Since Redis 8 there is db0_distrib_strings_sizes too.
            keys=sum(database["keys"] for name, database in info.items() if re.fullmatch(r"db\d+", name)),
            bytes=info["used_memory"],
            max_bytes=info["maxmemory"] or None,
            hits=info["keyspace_hits"],
            misses=info["keyspace_misses"],
            evicted=info["evicted_keys"],
        )

    def ping(self) -> None:
        """Raise CacheUnavailableError if Redis does not answer. This connects even shortly after a failure."""
        self._retry_at = 0.0
        self._run(self._client.ping)

    def _run(self, command: Callable[[], T]) -> T:
        if time.monotonic() < self._retry_at:
            raise CacheUnavailableError
        try:
            return command()
        except RedisError as error:
            self._retry_at = time.monotonic() + RETRY_AFTER
            log.warning("cache unavailable", error=str(error))
            raise CacheUnavailableError from error


Backend = MemoryBackend | RedisBackend
