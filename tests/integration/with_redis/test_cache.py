"""Several processes share the cache in a real Redis."""

import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from redis import Redis

from app.redis.cache import Cache
from app.redis.cache_backends import RedisBackend
from app.redis.url import RedisUrl

PROCESSES, THREADS = 4, 8


def read(url: str, ready: Any, seconds: float, settle: float) -> None:
    """Read one page with all threads of a process. Each computation is counted in Redis."""
    cache = Cache(RedisBackend(RedisUrl.parse(url).client(timeout=2)), recent_seconds=0, settle_seconds=settle)
    counter = Redis.from_url(url)

    def load(_recent: bool) -> bytes:
        counter.incr("computed")
        time.sleep(0.05)
        return b"page"

    def thread(_: int) -> None:
        while True:
            assert cache.fetch("hot", generation="things", seconds=60, load=load) is not None
            if time.monotonic() >= ends:
                return
            time.sleep(0.002)

    ready.wait(60)
    ends = time.monotonic() + seconds
    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(thread, range(THREADS)))


def run(url: str, *, seconds: float, settle: float, writes: float) -> tuple[int, float]:
    """Run readers and `writes` invalidations a second. Return the number of computations and the elapsed seconds."""
    context: Any = multiprocessing.get_context("spawn")
    ready = context.Barrier(PROCESSES + 1)
    readers = [context.Process(target=read, args=(url, ready, seconds, settle)) for _ in range(PROCESSES)]
    for reader in readers:
        reader.start()
    writer = Cache(RedisBackend(RedisUrl.parse(url).client(timeout=2)), recent_seconds=0)
    ready.wait(60)
    begun = time.monotonic()
    ends = begun + seconds
    while writes and time.monotonic() < ends:
        time.sleep(1 / writes)
        writer.invalidate("things")
    for reader in readers:
        reader.join(30)
    assert [reader.exitcode for reader in readers] == [0] * PROCESSES
    computed: Any = Redis.from_url(url).get("computed")
    return int(computed), time.monotonic() - begun


@pytest.mark.usefixtures("redis")
def test_concurrent_misses_of_several_processes_compute_once(redis_url: str) -> None:
    computed, _ = run(redis_url, seconds=0.5, settle=0, writes=0)
    assert computed == 1


@pytest.mark.usefixtures("redis")
def test_ten_writes_a_second_cost_one_read_a_second(redis_url: str) -> None:
    # On a busy machine the readers run longer than planned, so compare with the elapsed time.
    computed, took = run(redis_url, seconds=3, settle=1.0, writes=10)
    assert computed <= took + 1
