"""What must survive a restart and is not in the database: sessions and views that are not flushed yet."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol
from uuid import uuid4

import structlog
from flask import Flask
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from app.redis.url import RedisUrl

log = structlog.get_logger(__name__)

REDIS_TIMEOUT = 1.0
# Seconds for which a store that has failed is not asked again by what can do without it.
REST_AFTER_FAILURE = 5.0

VIEWS_PENDING = "views:pending"
VIEWS_FLUSHING = "views:flushing"
# The field of VIEWS_FLUSHING that names the batch; the others are ids of articles.
BATCH = "batch"
# Dead letters on their way to the database, and how many wait there for somebody.
DEAD_LETTERS = "letters:pending"
DEAD_LETTERS_WAITING = "letters:waiting"
# The newest are worth most, and a store that is full of letters would take no sessions.
MAX_DEAD_LETTERS = 10_000


class StoreUnavailableError(Exception):
    """The store does not answer."""


class Store(Protocol):
    """The operations that the application needs; each is atomic."""

    def get_session(self, key: str) -> bytes | None:
        """Return a session's bytes."""

    def put_session(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a session's bytes for some time."""

    def drop_session(self, key: str) -> None:
        """Forget a session."""

    def count_view(self, article_id: int) -> None:
        """Add one to an article's pending views. Where the store is away the view is lost."""

    def take_views(self) -> tuple[str, dict[int, int]] | None:
        """Return a batch of views by article, which stays until `drop_views`: the batch of an interrupted flush, or a new one."""

    def drop_views(self, batch: str) -> None:
        """Forget a batch that is in the database. Another batch is left alone."""

    def keep_dead_letter(self, letter: bytes) -> None:
        """Keep a dead letter until `drop_dead_letter`."""

    def dead_letters(self, limit: int) -> list[bytes]:
        """Return the oldest dead letters that are kept here."""

    def drop_dead_letter(self, letter: bytes) -> None:
        """Forget a dead letter that is in the database."""

    def note_dead_letters(self, waiting: int) -> None:
        """Note for the workers' metrics how many letters wait for an administrator."""

    def queue_length(self, queue: str) -> int:
        """Return how many tasks wait for a worker."""

    def ping(self) -> None:
        """Raise StoreUnavailableError where the store does not answer."""


def make_store(app: Flask) -> Store:
    """Return the store that the configuration names. Nothing connects yet."""
    url = app.config["STORE_URL"]
    return RedisStore(RedisUrl.parse(url).client(timeout=REDIS_TIMEOUT)) if url else MemoryStore()


class MemoryStore:
    """Inside this process, for development and tests."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[bytes, float]] = {}
        self._pending: dict[int, int] = {}
        self._flushing: tuple[str, dict[int, int]] | None = None
        self._dead_letters: list[bytes] = []

    def get_session(self, key: str) -> bytes | None:
        """Return a session's bytes."""
        value, until = self._sessions.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    def put_session(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a session's bytes for some time."""
        self._sessions[key] = (value, time.monotonic() + seconds)

    def drop_session(self, key: str) -> None:
        """Forget a session."""
        self._sessions.pop(key, None)

    def count_view(self, article_id: int) -> None:
        """Add one to an article's pending views."""
        with self._lock:
            self._pending[article_id] = self._pending.get(article_id, 0) + 1

    def take_views(self) -> tuple[str, dict[int, int]] | None:
        """Return a batch of views by article, which stays until `drop_views`."""
        with self._lock:
            if self._flushing is None and self._pending:
                self._flushing = (uuid4().hex, self._pending)
                self._pending = {}
            return self._flushing

    def drop_views(self, batch: str) -> None:
        """Forget a batch that is in the database."""
        with self._lock:
            if self._flushing and self._flushing[0] == batch:
                self._flushing = None

    def keep_dead_letter(self, letter: bytes) -> None:
        """Keep a dead letter until `drop_dead_letter`."""
        self._dead_letters = [*self._dead_letters, letter][-MAX_DEAD_LETTERS:]

    def dead_letters(self, limit: int) -> list[bytes]:
        """Return the oldest dead letters that are kept here."""
        return self._dead_letters[:limit]

    def drop_dead_letter(self, letter: bytes) -> None:
        """Forget a dead letter that is in the database."""
        self._dead_letters = [kept for kept in self._dead_letters if kept != letter]

    def note_dead_letters(self, waiting: int) -> None:
        """Do nothing: no worker sees this process's store."""

    def queue_length(self, _queue: str) -> int:
        """Return 0: tasks run at once."""
        return 0

    def ping(self) -> None:
        """Do nothing: this process is alive."""


class RedisStore:
    """In Redis."""

    def __init__(self, client: Redis) -> None:
        self.client = client
        self._rests_until = 0.0

    def get_session(self, key: str) -> bytes | None:
        """Return a session's bytes."""
        value: bytes | None = self._ask(lambda: self.client.get(key))
        return value

    def put_session(self, key: str, value: bytes, seconds: int) -> None:
        """Keep a session's bytes for some time."""
        self._ask(lambda: self.client.set(key, value, ex=seconds))

    def drop_session(self, key: str) -> None:
        """Forget a session."""
        self._ask(lambda: self.client.delete(key))

    def count_view(self, article_id: int) -> None:
        """Add one to an article's pending views. Where the store is away the view is lost: a page does not wait for a count."""
        if time.monotonic() < self._rests_until:
            return
        try:
            self._ask(lambda: self.client.hincrby(VIEWS_PENDING, str(article_id), 1))
        except StoreUnavailableError as error:
            self._rests_until = time.monotonic() + REST_AFTER_FAILURE
            log.warning("views are not counted", error=str(error))

    def take_views(self) -> tuple[str, dict[int, int]] | None:
        """Return a batch of views by article, which stays until `drop_views`: the batch of an interrupted flush, or a new one."""
        taken: tuple[str, dict[int, int]] | None = self._ask(self._take_views)
        return taken

    def drop_views(self, batch: str) -> None:
        """Forget a batch that is in the database. Another batch is left alone."""

        def drop(pipeline: Pipeline) -> None:
            current: Any = pipeline.hget(VIEWS_FLUSHING, BATCH)
            pipeline.multi()
            if current == batch.encode():
                pipeline.delete(VIEWS_FLUSHING)

        self._ask(lambda: self.client.transaction(drop, VIEWS_FLUSHING))

    def keep_dead_letter(self, letter: bytes) -> None:
        """Keep a dead letter until `drop_dead_letter`."""
        self._ask(lambda: self.client.rpush(DEAD_LETTERS, letter))
        self._ask(lambda: self.client.ltrim(DEAD_LETTERS, -MAX_DEAD_LETTERS, -1))

    def dead_letters(self, limit: int) -> list[bytes]:
        """Return the oldest dead letters that are kept here."""
        kept: list[bytes] = self._ask(lambda: self.client.lrange(DEAD_LETTERS, 0, limit - 1))
        return kept

    def drop_dead_letter(self, letter: bytes) -> None:
        """Forget a dead letter that is in the database."""
        self._ask(lambda: self.client.lrem(DEAD_LETTERS, 1, letter))  # type: ignore[arg-type]

    def note_dead_letters(self, waiting: int) -> None:
        """Note for the workers' metrics how many letters wait for an administrator."""
        self._ask(lambda: self.client.set(DEAD_LETTERS_WAITING, waiting))

    def queue_length(self, queue: str) -> int:
        """Return how many tasks wait for a worker: Celery keeps a queue as a list."""
        length: int = self._ask(lambda: self.client.llen(queue))
        return length

    def ping(self) -> None:
        """Raise StoreUnavailableError where the store does not answer."""
        self._ask(self.client.ping)

    def _take_views(self) -> tuple[str, dict[int, int]] | None:
        try:
            # Views that come from now on are counted in a new hash. Refused while an earlier batch is there: that one first.
            self.client.renamenx(VIEWS_PENDING, VIEWS_FLUSHING)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise
        if not self.client.exists(VIEWS_FLUSHING):
            return None
        # Named once: after a crash the same batch has the same name, by which the database knows whether it has it.
        self.client.hsetnx(VIEWS_FLUSHING, BATCH, uuid4().hex)
        fields: Any = self.client.hgetall(VIEWS_FLUSHING)
        batch = fields.pop(BATCH.encode()).decode()
        return batch, {int(article): int(count) for article, count in fields.items()}

    def _ask(self, command: Callable[[], Any]) -> Any:
        try:
            return command()
        except RedisError as error:
            raise StoreUnavailableError(str(error)) from error
