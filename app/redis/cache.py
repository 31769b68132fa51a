"""A cache of JSON bytes that may vanish at any time: losing it slows the application and never breaks it.

An entry remembers the generation it was computed in. A write bumps the generation after its commit, so that every entry of it is
outdated at once, whatever arguments its key was made of. One caller at a time computes an entry; the others get the old one meanwhile.
An entry that was computed a moment ago serves those who have not written, whatever was written since: without that, ten writes a second
would make every page that is read all the time be computed ten times a second.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec
import structlog
from flask import Flask

from app.redis.cache_backends import Backend, CacheUnavailableError, MemoryBackend, RedisBackend
from app.redis.url import RedisUrl

Outcome = Literal["hit", "miss", "stale"]
log = structlog.get_logger(__name__)

# A cache that takes longer than this is slower than the database.
REDIS_TIMEOUT = 0.2
# While the cache is away every process keeps entries for itself, for so short a time that nobody minds what others have written.
FALLBACK_SECONDS = 1.0
# A generation that is forgotten only makes its entries outdated.
GENERATION_SECONDS = 24 * 3600
# Seconds after which a flight counts as crashed, and for which another waits for it where nothing old can be served.
FLIGHT_SECONDS = 5.0
POLL_SECONDS = 0.02
# An outdated entry is kept this many times longer than it is fresh, to be served while it is recomputed.
STALE_FACTOR = 10
# An entry is fresh for 0.8 to 1.0 of its time, so that entries of the same moment do not expire in the same moment.
JITTER = 0.2
# The generation of all entries, besides their own.
EVERYTHING = "everything"


Load = Callable[[bool], bytes | None]


@dataclass(frozen=True)
class Cached:
    """JSON bytes, and how they were found."""

    body: bytes
    outcome: Outcome


class _Numbers(NamedTuple):
    """What an entry is of now: the number of its own generation, and that of all entries."""

    own: bytes | None
    everything: bytes | None

    @property
    def stamp(self) -> bytes | None:
        """Both in one; None where the own generation has no number."""
        return None if self.own is None else self.own + b"." + (self.everything or b"")


class _Entry(msgspec.Struct, array_like=True):
    generation: bytes
    fresh_until: float
    computed_at: float
    body: bytes

    def is_fresh(self, generation: bytes | None) -> bool:
        return self.generation == generation and time.time() < self.fresh_until

    def is_settling(self, seconds: float) -> bool:
        return 0 <= time.time() - self.computed_at < seconds


class _Known(NamedTuple):
    """What the backend says of a key."""

    numbers: _Numbers
    entry: _Entry | None
    # Bumped so lately that a replica may not have the write yet.
    recent: bool

    @classmethod
    def of(cls, values: list[bytes | None]) -> _Known:
        """Read the values of `_keys`."""
        own, everything, packed, recent = values
        try:
            entry = msgspec.msgpack.decode(packed, type=_Entry) if packed else None
        except msgspec.DecodeError:
            entry = None
        return cls(_Numbers(own, everything), entry, recent is not None)


def make_cache(app: Flask) -> Cache:
    """Return the cache that the configuration names. Nothing connects yet."""
    url = app.config["CACHE_URL"]
    backend = RedisBackend(RedisUrl.parse(url).client(timeout=REDIS_TIMEOUT)) if url else MemoryBackend()
    return Cache(backend, recent_seconds=app.config["PIN_SECONDS"], settle_seconds=app.config["CACHE_SETTLE_SECONDS"])


class Cache:
    """Entries by key, outdated by generations."""

    def __init__(self, backend: Backend, *, recent_seconds: float, settle_seconds: float = 0.0) -> None:
        self.backend = backend
        self.on_outcome: list[Callable[[str, Outcome], None]] = []
        self._fallback = MemoryBackend()
        # Seconds after a bump in which entries are computed from the primary: a replica may not have the write yet.
        self._recent_seconds = recent_seconds
        # Seconds for which an entry is not computed again for who has not written.
        self._settle_seconds = settle_seconds

    def fetch(self, key: str, *, generation: str, seconds: float, load: Load, insist: bool = False) -> Cached | None:
        """Return the entry of `key`, computed by `load` where it is missing or outdated; None where `load` returns None.

        `load` is told whether the generation is so young that only the primary knows what was written. `insist` refuses an outdated
        entry: whoever has just written wants to see it.
        """
        try:
            cached = self._fetch(self.backend, key, generation, seconds, load, insist)
        except CacheUnavailableError:
            cached = self._fetch(self._fallback, key, generation, min(seconds, FALLBACK_SECONDS), load, insist)
        for listener in self.on_outcome:
            listener(generation.partition(":")[0], cached.outcome if cached else "miss")
        return cached

    def bump(self, generation: str) -> None:
        """Outdate every entry of a generation. Call it after the commit: an entry computed before would bring the old state back."""
        # A time instead of a counter: one that was evicted would start again at a number that entries still carry.
        number = str(time.time_ns()).encode()
        for backend in (self.backend, self._fallback):
            try:
                backend.put(f"generation:{generation}", number, GENERATION_SECONDS)
                if self._recent_seconds:
                    backend.put(f"recent:{generation}", b"1", self._recent_seconds)
            except CacheUnavailableError:
                log.warning("cache unavailable, entries stay until they expire", generation=generation)

    def empty(self) -> None:
        """Outdate every entry there is: in one write, and without the right to delete what others keep in the same Redis."""
        self.bump(EVERYTHING)

    def bumped_at(self, generation: str) -> datetime | None:
        """Return when a generation was last bumped or begun; None where it is forgotten."""
        number = self.backend.get_many([f"generation:{generation}"])[0]
        return datetime.fromtimestamp(int(number) / 1e9, UTC) if number else None

    def mark(self, key: str, seconds: float) -> None:
        """Remember a key for some seconds."""
        for backend in (self.backend, self._fallback):
            try:
                backend.put(key, b"1", seconds)
            except CacheUnavailableError:
                log.warning("cache unavailable, mark kept in this process alone")

    def is_marked(self, key: str) -> bool:
        """Whether a key was marked in the last seconds."""
        try:
            return self.backend.get_many([key])[0] is not None
        except CacheUnavailableError:
            return self._fallback.get_many([key])[0] is not None

    def _fetch(
        self, backend: Backend, key: str, generation: str, seconds: float, load: Load, insist: bool
    ) -> Cached | None:
        deadline = time.monotonic() + FLIGHT_SECONDS
        keys = _keys(key, generation)
        while True:
            known = _Known.of(backend.get_many(keys))
            if cached := self._usable(known, insist):
                return cached
            if (values := backend.claim(f"flight:{key}", FLIGHT_SECONDS, keys)) is not None:
                try:
                    # Again: another flight may have landed since the look above.
                    known = _Known.of(values)
                    return self._usable(known, insist) or self._compute(
                        backend, key, generation, known, seconds, load, insist
                    )
                finally:
                    _quietly(lambda: backend.drop(f"flight:{key}"))
            if known.entry and not insist:
                return Cached(known.entry.body, "stale")
            if not self._await_flight(backend, key, generation, known.numbers, deadline):
                return self._compute(backend, key, generation, known._replace(entry=None), seconds, load, insist)

    def _usable(self, known: _Known, insist: bool) -> Cached | None:
        if known.entry and known.entry.is_fresh(known.numbers.stamp):
            return Cached(known.entry.body, "hit")
        if known.entry and not insist and known.entry.is_settling(self._settle_seconds):
            return Cached(known.entry.body, "stale")
        return None

    def _await_flight(self, backend: Backend, key: str, generation: str, numbers: _Numbers, deadline: float) -> bool:
        """Wait until another caller has computed the entry; return whether to look again. It may have crashed, or found nothing."""
        while time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            # First the flight: it ends after its entry was kept.
            landed = backend.get_many([f"flight:{key}"])[0] is None
            latest = _Known.of(backend.get_many(_keys(key, generation)))
            if latest.entry and latest.entry.is_fresh(latest.numbers.stamp):
                return True
            if landed:
                # Bumped meanwhile: one of those who waited computes it again, not all of them.
                return latest.entry is not None or latest.numbers != numbers
        return False

    def _compute(
        self,
        backend: Backend,
        key: str,
        generation: str,
        known: _Known,
        seconds: float,
        load: Load,
        insist: bool,
    ) -> Cached | None:
        try:
            body = load(known.recent)
        except Exception:
            # The database is away: what was true a moment ago serves a reader better than an error.
            if insist or known.entry is None:
                raise
            log.warning("serving an outdated entry", key=key, exc_info=True)
            return Cached(known.entry.body, "stale")
        if body is None:
            # What is gone is not served as an old entry either, to those who come while somebody else looks for it.
            _quietly(lambda: backend.drop(f"entry:{key}"))
            return None
        _quietly(lambda: self._keep(backend, key, generation, known.numbers, seconds, body))
        return Cached(body, "miss")

    def _keep(
        self, backend: Backend, key: str, generation: str, numbers: _Numbers, seconds: float, body: bytes
    ) -> None:
        if numbers.own is None:
            numbers = _Numbers(str(time.time_ns()).encode(), numbers.everything)
            if not backend.add(f"generation:{generation}", numbers.own or b"", GENERATION_SECONDS):
                return  # Bumped while this was computed.
        moment = time.time()
        entry = _Entry(numbers.stamp or b"", moment + seconds * random.uniform(1 - JITTER, 1), moment, body)
        backend.put(f"entry:{key}", msgspec.msgpack.encode(entry), seconds * STALE_FACTOR)


def _keys(key: str, generation: str) -> list[str]:
    return [f"generation:{generation}", f"generation:{EVERYTHING}", f"entry:{key}", f"recent:{generation}"]


def _quietly(command: Callable[[], None]) -> None:
    try:
        command()
    except CacheUnavailableError:
        log.warning("cache unavailable, entry not kept")
