"""The cache itself: what it keeps, for how long, and who computes when many want the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.redis.cache import Cache, Cached, Outcome
from app.redis.cache_backends import CacheUnavailableError, MemoryBackend, RedisBackend
from app.redis.url import RedisUrl


class Source:
    """What an entry is computed from; counts how often."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.value = b"1"
        self.seconds = seconds
        self.calls: list[bool] = []

    def __call__(self, recent: bool) -> bytes | None:
        self.calls.append(recent)
        time.sleep(self.seconds)
        return self.value


@pytest.fixture
def cache() -> Cache:
    return Cache(MemoryBackend(), recent_seconds=0.2)


def fetch(
    cache: Cache, source: Source, *, key: str = "key", seconds: float = 60.0, insist: bool = False
) -> tuple[bytes, Outcome]:
    cached = cache.fetch(key, generation="things", seconds=seconds, load=source, insist=insist)
    assert isinstance(cached, Cached)
    return cached.body, cached.outcome


def test_a_second_read_hits(cache: Cache) -> None:
    source = Source()
    assert fetch(cache, source) == (b"1", "miss")
    source.value = b"2"
    assert fetch(cache, source) == (b"1", "hit")
    assert fetch(cache, source, key="another") == (b"2", "miss")


def test_a_bump_outdates_every_key_of_its_generation_at_once(cache: Cache) -> None:
    source = Source()
    for key in ("a", "b"):
        fetch(cache, source, key=key)
    source.value = b"2"
    cache.bump("things")
    assert [fetch(cache, source, key=key) for key in ("a", "b")] == [(b"2", "miss")] * 2


def test_a_bump_of_another_generation_changes_nothing(cache: Cache) -> None:
    source = Source()
    fetch(cache, source)
    cache.bump("others")
    assert fetch(cache, source) == (b"1", "hit")


def test_what_is_gone_is_not_served_to_those_who_come_meanwhile(cache: Cache) -> None:
    fetch(cache, Source())
    cache.bump("things")
    assert cache.fetch("key", generation="things", seconds=60, load=lambda _: None) is None
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(cache.fetch, "key", generation="things", seconds=60, load=lambda _: time.sleep(0.2))
        time.sleep(0.1)
        assert cache.fetch("key", generation="things", seconds=60, load=lambda _: None) is None
        assert slow.result() is None


def test_emptying_outdates_every_generation_at_once(cache: Cache) -> None:
    source = Source()
    for generation in ("things", "others"):
        cache.fetch(generation, generation=generation, seconds=60, load=source)
    source.value = b"2"
    cache.empty()
    for generation in ("things", "others"):
        assert cache.fetch(generation, generation=generation, seconds=60, load=source) == Cached(b"2", "miss")
        assert cache.fetch(generation, generation=generation, seconds=60, load=source) == Cached(b"2", "hit")


def test_what_was_computed_before_emptying_is_not_kept_after_it(cache: Cache) -> None:
    def overtaken(_recent: bool) -> bytes:
        cache.empty()
        return b"old"

    for _ in range(2):
        cache.fetch("key", generation="things", seconds=60, load=overtaken)
    assert fetch(cache, Source()) == (b"1", "miss")


def test_what_was_computed_before_a_bump_is_not_kept_after_it(cache: Cache) -> None:
    def overtaken(_recent: bool) -> bytes:
        cache.bump("things")
        return b"old"

    for _ in range(2):
        cache.fetch("key", generation="things", seconds=60, load=overtaken)
    assert fetch(cache, Source()) == (b"1", "miss")


def test_right_after_a_bump_only_the_primary_is_asked(cache: Cache) -> None:
    source = Source()
    cache.bump("things")
    fetch(cache, source)
    time.sleep(0.25)
    fetch(cache, source, key="later")
    assert source.calls == [True, False]


def test_entries_expire(cache: Cache) -> None:
    source = Source()
    fetch(cache, source, seconds=0.05)
    time.sleep(0.06)
    assert fetch(cache, source, seconds=0.05) == (b"1", "miss")


def test_twenty_misses_at_once_compute_once(cache: Cache) -> None:
    source = Source(seconds=0.1)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: fetch(cache, source), range(20)))
    assert len(source.calls) == 1
    assert {body for body, _ in answers} == {b"1"}


def test_the_old_entry_is_served_while_a_new_one_is_computed(cache: Cache) -> None:
    source = Source()
    fetch(cache, source)
    cache.bump("things")
    source.value, source.seconds = b"2", 0.3
    computing = threading.Thread(target=fetch, args=(cache, source))
    computing.start()
    time.sleep(0.1)
    started = time.monotonic()
    assert fetch(cache, source) == (b"1", "stale")
    assert time.monotonic() - started < 0.1
    assert fetch(cache, source, insist=True) == (b"2", "hit"), "who has just written must not see the old entry"
    computing.join()
    assert len(source.calls) == 2


def test_those_who_wait_for_an_entry_that_is_outdated_when_it_lands_compute_it_once(cache: Cache) -> None:
    calls: list[bytes] = []

    def load(_recent: bool) -> bytes:
        calls.append(b"x")
        if len(calls) == 1:
            time.sleep(0.1)
            cache.bump("things")
        time.sleep(0.05)
        return b"%d" % len(calls)

    with ThreadPoolExecutor(20) as pool:
        answers = list(
            pool.map(lambda _: cache.fetch("key", generation="things", seconds=60, load=load, insist=True), range(20))
        )
    assert len(calls) == 2
    assert sorted({cached.body for cached in answers if cached}) == [b"1", b"2"]


def test_a_page_that_is_read_all_the_time_is_computed_once_a_second_however_much_is_written() -> None:
    cache, source = Cache(MemoryBackend(), recent_seconds=0, settle_seconds=0.2), Source()
    ends = time.monotonic() + 1.0
    written = 0

    def read(_: int) -> None:
        while time.monotonic() < ends:
            fetch(cache, source)
            time.sleep(0.001)

    with ThreadPoolExecutor(8) as pool:
        reading = [pool.submit(read, number) for number in range(8)]
        while time.monotonic() < ends:
            written += 1
            source.value = b"%d" % written
            cache.bump("things")
            time.sleep(0.01)
        for reader in reading:
            reader.result()
    assert written > 10
    assert len(source.calls) <= 6, "once in 0.2 seconds, and the first time"
    time.sleep(0.25)
    assert fetch(cache, source)[0] == source.value, "what was written is seen when the page has settled"


def test_what_another_has_computed_since_the_look_is_not_computed_again() -> None:
    class Late(MemoryBackend):
        """Answers a look after somebody else has computed the entry, with what was true before."""

        def __init__(self) -> None:
            super().__init__()
            self.meanwhile: Callable[[], object] | None = None

        def get_many(self, keys: list[str]) -> list[bytes | None]:
            values = super().get_many(keys)
            meanwhile, self.meanwhile = self.meanwhile, None
            if meanwhile:
                meanwhile()
            return values

    backend, source = Late(), Source()
    cache = Cache(backend, recent_seconds=0.0)
    backend.meanwhile = lambda: fetch(cache, source)
    assert fetch(cache, source) == (b"1", "hit")
    assert len(source.calls) == 1


def test_who_has_just_written_waits_for_no_page_to_settle() -> None:
    cache, source = Cache(MemoryBackend(), recent_seconds=1, settle_seconds=60), Source()
    fetch(cache, source)
    cache.bump("things")
    source.value = b"2"
    assert fetch(cache, source) == (b"1", "stale")
    assert fetch(cache, source, insist=True) == (b"2", "miss")
    assert fetch(cache, source) == (b"2", "hit")


def test_entries_of_one_moment_expire_at_different_times(cache: Cache) -> None:
    for number in range(20):
        fetch(cache, Source(), key=str(number), seconds=0.5)
    time.sleep(0.45)
    outcomes = {fetch(cache, Source(), key=str(number), seconds=0.5)[1] for number in range(20)}
    assert outcomes == {"hit", "miss"}


def test_a_crash_while_computing_blocks_nobody(cache: Cache) -> None:
    def crash(_recent: bool) -> bytes:
        raise RuntimeError("crash")

    with pytest.raises(RuntimeError):
        cache.fetch("key", generation="things", seconds=60, load=crash)
    started = time.monotonic()
    assert fetch(cache, Source()) == (b"1", "miss")
    assert time.monotonic() - started < 0.5


def test_the_old_entry_is_served_while_the_database_is_away(cache: Cache) -> None:
    def away(_recent: bool) -> bytes:
        raise OSError("database away")

    fetch(cache, Source())
    cache.bump("things")
    assert cache.fetch("key", generation="things", seconds=60, load=away) == Cached(b"1", "stale")


def test_what_does_not_exist_is_not_kept(cache: Cache) -> None:
    assert cache.fetch("key", generation="things", seconds=60, load=lambda _recent: None) is None
    assert fetch(cache, Source()) == (b"1", "miss")


def nowhere() -> RedisBackend:
    """A Redis that is not there."""
    return RedisBackend(RedisUrl.parse("redis://127.0.0.1:1/0").client(timeout=0.2))


def test_without_its_store_the_cache_still_answers_and_still_saves_the_database() -> None:
    cache, source = Cache(nowhere(), recent_seconds=1), Source()
    assert fetch(cache, source) == (b"1", "miss")
    assert fetch(cache, source) == (b"1", "hit")
    cache.bump("things")
    assert fetch(cache, source) == (b"1", "miss")
    cache.mark("pin", 1)
    assert cache.is_marked("pin")


def test_a_dead_redis_costs_one_timeout_and_then_nothing() -> None:
    backend = nowhere()
    with pytest.raises(CacheUnavailableError):
        backend.get_many(["a"])
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(CacheUnavailableError):
            backend.get_many(["a"])
    assert time.monotonic() - started < 0.2
