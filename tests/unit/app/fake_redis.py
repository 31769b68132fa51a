"""The few commands of Redis that counting views uses, with their rules."""

from __future__ import annotations

from collections.abc import Callable

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError


class FakeRedis:
    """Hashes in memory; a broken one answers nothing."""

    def __init__(self, *, broken: bool = False) -> None:
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.broken = broken

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
