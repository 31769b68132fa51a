"""The few commands of Redis that counting uses, with their rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError


class FakeRedis:
    """Hashes, lists and values in memory; a broken one answers nothing."""

    def __init__(self, *, broken: bool = False) -> None:
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.lists: dict[str, list[bytes]] = {}
        self.values: dict[str, bytes] = {}
        self.broken = broken
        # Round trips of pipelines.
        self.asked = 0

    def hincrby(self, name: str, field: str, amount: int) -> int:
        """Add to a field."""
        if self.broken:
            raise RedisConnectionError("broken")
        values = self.hashes.setdefault(name, {})
        values[field.encode()] = str(int(values.get(field.encode(), b"0")) + amount).encode()
        return int(values[field.encode()])

    def renamenx(self, source: str, target: str) -> bool:
        """Rename unless the target is there."""
        if source not in self.hashes:
            raise ResponseError("no such key")
        if target in self.hashes:
            return False
        self.hashes[target] = self.hashes.pop(source)
        return True

    def exists(self, name: str) -> int:
        """Whether there is such a key."""
        return int(name in self.hashes)

    def hsetnx(self, name: str, field: str, value: str) -> None:
        """Set a field unless it is there."""
        self.hashes.setdefault(name, {}).setdefault(field.encode(), value.encode())

    def hgetall(self, name: str) -> dict[bytes, bytes]:
        """Return a hash."""
        return dict(self.hashes.get(name, {}))

    def hget(self, name: str, field: str) -> bytes | None:
        """Return a field."""
        return self.hashes.get(name, {}).get(field.encode())

    def multi(self) -> None:
        """Begin what happens at once."""

    def delete(self, name: str) -> None:
        """Forget a key."""
        self.hashes.pop(name, None)

    def transaction(self, work: Callable[[FakeRedis], None], *_watched: str) -> None:
        """Run `work`."""
        work(self)

    def pipeline(self) -> FakePipeline:
        """Collect commands, to be sent together."""
        return FakePipeline(self)

    def rpush(self, name: str, value: bytes) -> None:
        """Add to a list."""
        if self.broken:
            raise RedisConnectionError("broken")
        self.lists.setdefault(name, []).append(value)

    def ltrim(self, name: str, start: int, end: int) -> None:
        """Keep the end of a list."""
        assert end == -1
        self.lists[name] = self.lists[name][start:]

    def lrange(self, name: str, start: int, end: int) -> list[bytes]:
        """Return a part of a list."""
        return self.lists.get(name, [])[start : end + 1]

    def lrem(self, name: str, count: int, value: bytes) -> None:
        """Remove the first such value."""
        assert count == 1
        if value in self.lists.get(name, []):
            self.lists[name].remove(value)

    def set(self, name: str, value: int) -> None:
        """Keep a value."""
        self.values[name] = str(value).encode()

    def get(self, name: str) -> bytes | None:
        """Return a value."""
        return self.values.get(name)

    def llen(self, name: str) -> int:
        """Return a list's length."""
        return len(self.lists.get(name, []))

    def hlen(self, name: str) -> int:
        """Return the number of a hash's fields."""
        return len(self.hashes.get(name, {}))


class FakePipeline:
    """Counters with a time to live; time stands still."""

    def __init__(self, redis: FakeRedis) -> None:
        self.redis = redis
        self.results: list[Any] = []

    def _counter(self, name: str) -> dict[bytes, bytes]:
        return self.redis.hashes.setdefault(f"counter:{name}", {b"count": b"0"})

    def incrby(self, name: str, amount: int) -> None:
        """Add to a counter."""
        counter = self._counter(name)
        counter[b"count"] = str(int(counter[b"count"]) + amount).encode()
        self.results.append(int(counter[b"count"]))

    def expire(self, name: str, seconds: int, *, nx: bool) -> None:
        """Let a counter end, unless it does already."""
        counter = self._counter(name)
        self.results.append(nx and b"seconds" not in counter)
        counter.setdefault(b"seconds", str(seconds).encode())

    def pttl(self, name: str) -> None:
        """Milliseconds that a counter has left."""
        self.results.append(int(self._counter(name).get(b"seconds", b"-1")) * 1000)

    def execute(self) -> list[Any]:
        """Send the commands."""
        self.redis.asked += 1
        if self.redis.broken:
            raise RedisConnectionError("broken")
        return self.results
