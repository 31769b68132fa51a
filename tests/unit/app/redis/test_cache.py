"""The cache: freshness, invalidation, and single flight."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from operator import methodcaller
from typing import Any
from unittest.mock import Mock

import pytest

from app.redis.cache import Cache, Outcome
from app.redis.cache_backends import CacheUnavailableError, MemoryBackend, RedisBackend
from app.redis.url import RedisUrl


class Source:
    """The value of an entry. It records its computations."""

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


def fetch(cache: Cache, load: Callable[[bool], bytes | None], **options: Any) -> tuple[bytes, Outcome] | None:
    defaults: dict[str, Any] = {"key": "key", "generation": "things", "seconds": 60}
    cached = cache.fetch(load=load, **(defaults | options))
    return (cached.body, cached.outcome) if cached else None


def test_a_second_read_is_a_hit(cache: Cache) -> None:
    source = Source()
    assert fetch(cache, source) == (b"1", "miss")
    source.value = b"2"
    assert fetch(cache, source) == (b"1", "hit")
    assert fetch(cache, source, key="another") == (b"2", "miss")


def test_invalidating_a_generation_invalidates_all_its_keys_and_no_others(cache: Cache) -> None:
    source = Source()
    for key, generation in (("a", "things"), ("b", "things"), ("c", "others")):
        fetch(cache, source, key=key, generation=generation)
    source.value = b"2"
    cache.invalidate("things")
    assert [fetch(cache, source, key=key) for key in ("a", "b")] == [(b"2", "miss")] * 2
    assert fetch(cache, source, key="c", generation="others") == (b"1", "hit")


def test_a_deleted_value_is_not_served_as_stale_during_a_computation(cache: Cache) -> None:
    fetch(cache, Source())
    cache.invalidate("things")
    assert fetch(cache, lambda _: None) is None
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(fetch, cache, lambda _: time.sleep(0.2))
        time.sleep(0.1)
        assert fetch(cache, lambda _: None) is None
        assert slow.result() is None


def test_empty_invalidates_all_generations(cache: Cache) -> None:
    source = Source()
    for generation in ("things", "others"):
        fetch(cache, source, key=generation, generation=generation)
    source.value = b"2"
    cache.empty()
    for generation in ("things", "others"):
        for outcome in ("miss", "hit"):
            assert fetch(cache, source, key=generation, generation=generation) == (b"2", outcome)


@pytest.mark.parametrize(
    "invalidate", [methodcaller("empty"), methodcaller("invalidate", "things")], ids=["empty", "invalidate"]
)
def test_a_value_computed_before_an_invalidation_is_not_served_after_it(
    cache: Cache, invalidate: Callable[[Cache], None]
) -> None:
    def overtaken(_recent: bool) -> bytes:
        invalidate(cache)
        return b"old"

    for _ in range(2):
        fetch(cache, overtaken)
    assert fetch(cache, Source()) == (b"1", "miss")


def test_entries_are_computed_from_the_primary_shortly_after_an_invalidation(cache: Cache) -> None:
    source = Source()
    cache.invalidate("things")
    fetch(cache, source)
    time.sleep(0.25)
    fetch(cache, source, key="later")
    assert source.calls == [True, False]


def test_entries_expire(cache: Cache) -> None:
    source = Source()
    fetch(cache, source, seconds=0.05)
    time.sleep(0.06)
    assert fetch(cache, source, seconds=0.05) == (b"1", "miss")


def test_twenty_concurrent_misses_compute_once(cache: Cache) -> None:
    source = Source(seconds=0.1)
    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(lambda _: fetch(cache, source), range(20)))
    assert len(source.calls) == 1
    assert answers <= {(b"1", "miss"), (b"1", "hit")}


def test_the_old_entry_is_served_during_the_computation(cache: Cache) -> None:
    source = Source()
    fetch(cache, source)
    cache.invalidate("things")
    source.value, source.seconds = b"2", 0.3
    computing = threading.Thread(target=fetch, args=(cache, source))
    computing.start()
    time.sleep(0.1)
    started = time.monotonic()
    assert fetch(cache, source) == (b"1", "stale")
    assert time.monotonic() - started < 0.1
    assert fetch(cache, source, fresh=True) == (b"2", "hit"), "served an outdated entry although `fresh` was set"
    computing.join()
    assert len(source.calls) == 2


def test_an_entry_that_is_invalidated_during_its_computation_is_computed_once_more(cache: Cache) -> None:
    calls: list[bytes] = []

    def load(_recent: bool) -> bytes:
        calls.append(b"x")
        if len(calls) == 1:
            time.sleep(0.1)
            cache.invalidate("things")
        time.sleep(0.05)
        return b"%d" % len(calls)

    with ThreadPoolExecutor(20) as pool:
        answers = set(pool.map(lambda _: fetch(cache, load, fresh=True), range(20)))
    assert len(calls) == 2
    assert {answer[0] for answer in answers if answer} == {b"1", b"2"}


def test_many_writes_do_not_recompute_an_entry_more_often_than_settle_seconds() -> None:
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
            cache.invalidate("things")
            time.sleep(0.01)
        for reader in reading:
            reader.result()
    assert written > 10
    assert len(source.calls) <= 6, "at most once in 0.2 seconds, plus the first time"
    time.sleep(0.25)
    last = fetch(cache, source)
    assert last in {(source.value, "hit"), (source.value, "miss")}, "the last write is not visible after settle_seconds"


def test_an_entry_that_another_caller_has_just_computed_is_not_computed_again() -> None:
    class Late(MemoryBackend):
        """Returns the old values of a read, although another caller computes the entry during it."""

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


def test_settle_seconds_do_not_apply_to_a_client_that_has_just_written() -> None:
    cache, source = Cache(MemoryBackend(), recent_seconds=1, settle_seconds=60), Source()
    fetch(cache, source)
    cache.invalidate("things")
    source.value = b"2"
    assert fetch(cache, source) == (b"1", "stale")
    assert fetch(cache, source, fresh=True) == (b"2", "miss")
    assert fetch(cache, source) == (b"2", "hit")


def test_entries_of_the_same_time_expire_at_different_times(cache: Cache) -> None:
    for number in range(20):
        fetch(cache, Source(), key=str(number), seconds=0.5)
    time.sleep(0.45)
    answers = {fetch(cache, Source(), key=str(number), seconds=0.5) for number in range(20)}
    assert answers == {(b"1", "hit"), (b"1", "miss")}


def test_a_failed_computation_blocks_no_other_caller(cache: Cache) -> None:
    with pytest.raises(RuntimeError):
        fetch(cache, Mock(side_effect=RuntimeError("crash")))
    started = time.monotonic()
    assert fetch(cache, Source()) == (b"1", "miss")
    assert time.monotonic() - started < 0.5


def test_the_old_entry_is_served_while_the_database_is_down(cache: Cache) -> None:
    fetch(cache, Source())
    cache.invalidate("things")
    assert fetch(cache, Mock(side_effect=OSError("database is down"))) == (b"1", "stale")


def test_a_missing_value_is_not_cached(cache: Cache) -> None:
    assert fetch(cache, lambda _: None) is None
    assert fetch(cache, Source()) == (b"1", "miss")


def dead_backend() -> RedisBackend:
    """A backend whose Redis does not exist."""
    return RedisBackend(RedisUrl.parse("redis://127.0.0.1:1/0").client(timeout=0.2))


def test_without_redis_each_process_still_caches() -> None:
    cache, source = Cache(dead_backend(), recent_seconds=1), Source()
    assert fetch(cache, source) == (b"1", "miss")
    assert fetch(cache, source) == (b"1", "hit")
    cache.invalidate("things")
    assert fetch(cache, source) == (b"1", "miss")
    cache.mark("pin", 1)
    assert cache.is_marked("pin")


def test_a_dead_redis_costs_only_one_timeout() -> None:
    backend = dead_backend()
    with pytest.raises(CacheUnavailableError):
        backend.get_many(["a"])
    started = time.monotonic()
    for _ in range(100):
        with pytest.raises(CacheUnavailableError):
            backend.get_many(["a"])
    assert time.monotonic() - started < 0.2
