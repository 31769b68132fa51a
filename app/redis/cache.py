"""A cache of JSON bytes. Losing it makes the application slower but never breaks it.

Each entry stores the generation that it was computed in. A write replaces the generation after its commit. That
invalidates all entries of the generation at once, whatever arguments their keys contain.

Only one caller at a time computes an entry (single flight). Meanwhile the others get the old one
(stale-while-revalidate).

An entry that was computed a moment ago may be served although it is outdated, but not to a client that has just
written. Without this rule ten writes a second would recompute every popular page ten times a second.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Self

import msgspec
import structlog
from flask import Flask

from app.redis.cache_backends import Backend, CacheUnavailableError, MemoryBackend, RedisBackend
from app.redis.url import RedisUrl

Outcome = Literal["hit", "miss", "stale"]
log = structlog.get_logger(__name__)

# If the cache takes longer than this, the database is faster.
REDIS_TIMEOUT = 0.2
# While Redis is down each process has its own entries. They may miss writes of other
# processes, which is harmless because they are short-lived.
FALLBACK_SECONDS = 1.0
# If a generation expires, its entries are recomputed, which is harmless.
GENERATION_SECONDS = 24 * 3600
# After this time a computation counts as crashed. Callers without an old entry then stop waiting for it.
COMPUTE_TIMEOUT = 5.0
POLL_SECONDS = 0.02
# An outdated entry is kept this many times longer than it is fresh, so that it can be served during the recomputation.
STALE_FACTOR = 10
# An entry is fresh for 0.8 to 1.0 of its time, so that entries of the same time do not all expire together (cache
# stampede).
JITTER = 0.2
# Every entry belongs to this generation too.
EVERYTHING = "everything"

Load = Callable[[bool], bytes | None]


@dataclass(frozen=True)
class Cached:
    """JSON bytes, and whether they were cached."""

    body: bytes
    outcome: Outcome


class _Entry(msgspec.Struct, array_like=True):
    generation: bytes
    fresh_until: float
    computed_at: float
    body: bytes

    def is_fresh(self, generation: bytes | None) -> bool:
        return self.generation == generation and time.time() < self.fresh_until

    def is_younger_than(self, seconds: float) -> bool:
        return 0 <= time.time() - self.computed_at < seconds


class _State(NamedTuple):
    """What the backend has for a key."""

    # The current values of the entry's two generations.
    own: bytes | None
    everything: bytes | None
    entry: _Entry | None
    # The generation was replaced so recently that a replica may not have received the write.
    recent: bool

    @property
    def stamp(self) -> bytes | None:
        """Both generations in one. None if the entry's own generation does not exist."""
        return None if self.own is None else self.own + b"." + (self.everything or b"")

    @classmethod
    def of(cls, values: list[bytes | None]) -> Self:
        """Decode the values of `_keys`."""
        own, everything, packed, recent = values
        try:
            entry = msgspec.msgpack.decode(packed, type=_Entry) if packed else None
        except msgspec.DecodeError:
            entry = None
        return cls(own, everything, entry, recent is not None)


class Cache:
    """Cached entries, invalidated by generations."""

    def __init__(self, backend: Backend, *, recent_seconds: float, settle_seconds: float = 0.0) -> None:
        self.backend = backend
        self.on_outcome: list[Callable[[str, Outcome], None]] = []
        self._fallback = MemoryBackend()
        # For this time after an invalidation entries are computed from the primary: a replica may not have the write
        # yet.
        self._recent_seconds = recent_seconds
        # The shortest time between two computations of an entry, for clients that have not just written.
        self._settle_seconds = settle_seconds

    def fetch(self, key: str, *, generation: str, seconds: float, load: Load, fresh: bool = False) -> Cached | None:
        """Return the entry of `key`, or None if `load` returns None. `load` computes a missing or outdated entry.

        The argument of `load` is whether to read from the primary, because the generation was replaced recently.
        With `fresh`, never return an outdated entry: a client that has just written must see its write.
        """
        try:
            cached = self._fetch(self.backend, key, generation, seconds, load, fresh)
        except CacheUnavailableError:
            cached = self._fetch(self._fallback, key, generation, min(seconds, FALLBACK_SECONDS), load, fresh)
        for listener in self.on_outcome:
            listener(generation.partition(":")[0], cached.outcome if cached else "miss")
        return cached

    def invalidate(self, generation: str) -> None:
        """Invalidate all entries of a generation.

        Call this after the commit, or an old entry could be computed and kept.
        """
        # A time instead of a counter: after an eviction a counter would restart at values that entries still contain.
        number = str(time.time_ns()).encode()
        for backend in (self.backend, self._fallback):
            try:
                backend.put(f"generation:{generation}", number, GENERATION_SECONDS)
                if self._recent_seconds:
                    backend.put(f"recent:{generation}", b"1", self._recent_seconds)
            except CacheUnavailableError:
                log.warning("cache unavailable, entries stay until they expire", generation=generation)

    def empty(self) -> None:
        """Invalidate all entries with one write. Other data in the same Redis stays."""
        self.invalidate(EVERYTHING)

    def invalidated_at(self, generation: str) -> datetime | None:
        """Return when a generation was last replaced. None if it has expired."""
        number = self.backend.get_many([f"generation:{generation}"])[0]
        return datetime.fromtimestamp(int(number) / 1e9, UTC) if number else None

    def mark(self, key: str, seconds: float) -> None:
        """Set a flag that expires."""
        for backend in (self.backend, self._fallback):
            try:
                backend.put(key, b"1", seconds)
            except CacheUnavailableError:
                log.warning("cache unavailable, flag set in this process only")

    def is_marked(self, key: str) -> bool:
        """Return whether a flag is set."""
        try:
            return self.backend.get_many([key])[0] is not None
        except CacheUnavailableError:
            return self._fallback.get_many([key])[0] is not None

    def _fetch(
        self, backend: Backend, key: str, generation: str, seconds: float, load: Load, fresh: bool
    ) -> Cached | None:
        deadline = time.monotonic() + COMPUTE_TIMEOUT
        keys = _keys(key, generation)
        while True:
            state = _State.of(backend.get_many(keys))
            if cached := self._usable(state, fresh):
                return cached
            if (values := backend.claim(f"flight:{key}", COMPUTE_TIMEOUT, keys)) is not None:
                try:
                    # Read again: another caller may have finished since the read above.
                    state = _State.of(values)
                    return self._usable(state, fresh) or self._compute(
                        backend, key, generation, state, seconds, load, fresh
                    )
                finally:
                    _quietly(lambda: backend.drop(f"flight:{key}"))
            if state.entry and not fresh:
                return Cached(state.entry.body, "stale")
            if not self._wait(backend, key, generation, state, deadline):
                return self._compute(backend, key, generation, state._replace(entry=None), seconds, load, fresh)

    def _usable(self, state: _State, fresh: bool) -> Cached | None:
        if state.entry and state.entry.is_fresh(state.stamp):
            return Cached(state.entry.body, "hit")
        if state.entry and not fresh and state.entry.is_younger_than(self._settle_seconds):
            return Cached(state.entry.body, "stale")
        return None

    def _wait(self, backend: Backend, key: str, generation: str, state: _State, deadline: float) -> bool:
        """Wait for another caller's computation.

        Return whether to read the entry again: that caller may have failed.
        """
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            # Read the lock first: it is released after the entry is stored.
            released = backend.get_many([f"flight:{key}"])[0] is None
            latest = _State.of(backend.get_many(_keys(key, generation)))
            if latest.entry and latest.entry.is_fresh(latest.stamp):
                return True
            if released:
                # If the entry was invalidated during the computation, only one of the waiting callers computes it
                # again.
                return latest.entry is not None or (latest.own, latest.everything) != (state.own, state.everything)
        return False

    def _compute(
        self,
        backend: Backend,
        key: str,
        generation: str,
        state: _State,
        seconds: float,
        load: Load,
        fresh: bool,
    ) -> Cached | None:
        try:
            body = load(state.recent)
        except Exception:
            # If the database is down, an old entry is better for a reader than an error.
            if fresh or state.entry is None:
                raise
            log.warning("serving an outdated entry", key=key, exc_info=True)
            return Cached(state.entry.body, "stale")
        if body is None:
            # Drop the old entry of a deleted article. Readers would get it while another caller computes the entry.
            _quietly(lambda: backend.drop(f"entry:{key}"))
            return None
        _quietly(lambda: self._store(backend, key, generation, state, seconds, body))
        return Cached(body, "miss")

    def _store(self, backend: Backend, key: str, generation: str, state: _State, seconds: float, body: bytes) -> None:
        if state.own is None:
            state = state._replace(own=str(time.time_ns()).encode())
            if not backend.add(f"generation:{generation}", state.own or b"", GENERATION_SECONDS):
                return  # The generation was replaced during the computation, so the entry is outdated.
        now = time.time()
        entry = _Entry(state.stamp or b"", now + seconds * random.uniform(1 - JITTER, 1), now, body)
        backend.put(f"entry:{key}", msgspec.msgpack.encode(entry), seconds * STALE_FACTOR)


def make_cache(app: Flask) -> Cache:
    """Create the cache from the settings, without connecting."""
    url = app.config["CACHE_URL"]
    backend = RedisBackend(RedisUrl.parse(url).client(timeout=REDIS_TIMEOUT)) if url else MemoryBackend()
    return Cache(backend, recent_seconds=app.config["PIN_SECONDS"], settle_seconds=app.config["CACHE_SETTLE_SECONDS"])


def _keys(key: str, generation: str) -> list[str]:
    return [f"generation:{generation}", f"generation:{EVERYTHING}", f"entry:{key}", f"recent:{generation}"]


def _quietly(command: Callable[[], None]) -> None:
    try:
        command()
    except CacheUnavailableError:
        log.warning("cache unavailable, entry not stored")
