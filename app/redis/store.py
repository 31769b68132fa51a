"""The store: data outside the database that must survive a restart. Sessions, pending views and dead letters."""

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from flask import Flask
from redis import Redis
from redis.client import Pipeline
from redis.exceptions import RedisError, ResponseError

from app.redis.url import RedisUrl

T = TypeVar("T")
log = structlog.get_logger(__name__)

REDIS_TIMEOUT = 1.0
# After a failure optional work (counting views) does not use the store for this time.
RETRY_AFTER = 5.0

VIEWS_PENDING = "views:pending"
VIEWS_FLUSHING = "views:flushing"
# The field of VIEWS_FLUSHING with the batch's name. All other fields are article ids.
BATCH = "batch"
# Dead letters that are not in the database yet, and the number of unhandled ones in the database.
DEAD_LETTERS = "letters:pending"
DEAD_LETTERS_WAITING = "letters:waiting"
# Only the newest are kept: a store that is full of dead letters could not store sessions.
MAX_DEAD_LETTERS = 10_000


class StoreUnavailableError(Exception):
    """The store does not answer."""


class MemoryStore:
    """The memory of this process, for development and tests. RedisStore documents the methods."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, tuple[bytes, float]] = {}
        self._pending: dict[int, int] = {}
        self._flushing: tuple[str, dict[int, int]] | None = None
        self._dead_letters: list[bytes] = []

    def get_session(self, key: str) -> bytes | None:
        value, until = self._sessions.get(key, (None, 0.0))
        return value if until > time.monotonic() else None

    def put_session(self, key: str, value: bytes, seconds: int) -> None:
        self._sessions[key] = (value, time.monotonic() + seconds)

    def replace_session(self, key: str, value: bytes, seconds: int) -> bool:
        with self._lock:
            if self.get_session(key) is None:
                return False
            self.put_session(key, value, seconds)
            return True

    def drop_session(self, key: str) -> None:
        with self._lock:
            self._sessions.pop(key, None)

    def count_view(self, article_id: int) -> None:
        with self._lock:
            self._pending[article_id] = self._pending.get(article_id, 0) + 1

    def take_views(self) -> tuple[str, dict[int, int]] | None:
        with self._lock:
            if self._flushing is None and self._pending:
                self._flushing = (uuid4().hex, self._pending)
                self._pending = {}
            return self._flushing

    def drop_views(self, batch: str) -> None:
        with self._lock:
            if self._flushing and self._flushing[0] == batch:
                self._flushing = None

    def keep_dead_letter(self, dead_letter: bytes) -> None:
        self._dead_letters = [*self._dead_letters, dead_letter][-MAX_DEAD_LETTERS:]

    def dead_letters(self, limit: int) -> list[bytes]:
        return self._dead_letters[:limit]

    def drop_dead_letter(self, dead_letter: bytes) -> None:
        self._dead_letters = [stored for stored in self._dead_letters if stored != dead_letter]

    def note_dead_letters(self, waiting: int) -> None:
        """Do nothing: no worker can read this memory."""

    def queue_length(self, _queue: str) -> int:
        """Return 0: without a broker tasks run at once."""
        return 0

    def ping(self) -> None:
        """Do nothing: memory is always available."""


class RedisStore:
    """Redis. Each operation is atomic."""

    def __init__(self, client: Redis) -> None:
        self.client: Any = client  # redis-py declares that each command may return an awaitable
        self._retry_at = 0.0

    def get_session(self, key: str) -> bytes | None:
        """Return the data of a session."""
        value: bytes | None = self._run(lambda: self.client.get(key))
        return value

    def put_session(self, key: str, value: bytes, seconds: int) -> None:
        """Store the data of a new session, which expires."""
        self._run(lambda: self.client.set(key, value, ex=seconds))

    def replace_session(self, key: str, value: bytes, seconds: int) -> bool:
        """Store new data of a session and return True, unless the session was deleted meanwhile."""
        return bool(self._run(lambda: self.client.set(key, value, ex=seconds, xx=True)))

    def drop_session(self, key: str) -> None:
        """Delete a session."""
        self._run(lambda: self.client.delete(key))

    def count_view(self, article_id: int) -> None:
        """Add one to an article's pending views. If the store is down, the view is lost: no page waits for a count."""
        if time.monotonic() < self._retry_at:
            return
        try:
            self._run(lambda: self.client.hincrby(VIEWS_PENDING, str(article_id), 1))
        except StoreUnavailableError as error:
            self._retry_at = time.monotonic() + RETRY_AFTER
            log.warning("views are not counted", error=str(error))

    def take_views(self) -> tuple[str, dict[int, int]] | None:
        """Return a batch of views by article: the batch of an interrupted flush, or a new one.

        It stays until `drop_views`.
        """
        return self._run(self._take_views)

    def drop_views(self, batch: str) -> None:
        """Delete a batch after it was added to the database. Keep any other batch."""

        def drop(pipeline: Pipeline) -> None:
            current: Any = pipeline.hget(VIEWS_FLUSHING, BATCH)
            pipeline.multi()
            if current == batch.encode():
                pipeline.delete(VIEWS_FLUSHING)

        self._run(lambda: self.client.transaction(drop, VIEWS_FLUSHING))

    def keep_dead_letter(self, dead_letter: bytes) -> None:
        """Store a dead letter until `drop_dead_letter`."""
        self._run(lambda: self.client.rpush(DEAD_LETTERS, dead_letter))
        self._run(lambda: self.client.ltrim(DEAD_LETTERS, -MAX_DEAD_LETTERS, -1))

    def dead_letters(self, limit: int) -> list[bytes]:
        """Return the oldest stored dead letters."""
        return self._run(lambda: self.client.lrange(DEAD_LETTERS, 0, limit - 1))

    def drop_dead_letter(self, dead_letter: bytes) -> None:
        """Delete a dead letter after it was added to the database."""
        self._run(lambda: self.client.lrem(DEAD_LETTERS, 1, dead_letter))

    def note_dead_letters(self, waiting: int) -> None:
        """Store the number of dead letters that wait for an administrator. The workers' metrics read it."""
        self._run(lambda: self.client.set(DEAD_LETTERS_WAITING, waiting))

    def queue_length(self, queue: str) -> int:
        """Return the number of tasks that wait for a worker. Celery's queue is a Redis list."""
        return int(self._run(lambda: self.client.llen(queue)))

    def ping(self) -> None:
        """Raise StoreUnavailableError if the store does not answer."""
        self._run(self.client.ping)

    def _take_views(self) -> tuple[str, dict[int, int]] | None:
        try:
            # New views go to a new hash. If an earlier batch still exists, nothing is renamed and that batch is
            # returned.
            self.client.renamenx(VIEWS_PENDING, VIEWS_FLUSHING)
        except ResponseError as error:
            if "no such key" not in str(error):
                raise

        def name_and_read(pipeline: Pipeline) -> None:
            exists = pipeline.exists(VIEWS_FLUSHING)
            pipeline.multi()
            if exists:
                # A batch gets its name only once. After a crash the name shows whether the database has the batch.
                pipeline.hsetnx(VIEWS_FLUSHING, BATCH, uuid4().hex)
            pipeline.hgetall(VIEWS_FLUSHING)

        # One transaction, because another flush may drop the batch at any moment.
        *_, fields = self.client.transaction(name_and_read, VIEWS_FLUSHING)
        if not fields:
            return None
        batch = fields.pop(BATCH.encode()).decode()
        return batch, {int(article): int(count) for article, count in fields.items()}

    def _run(self, command: Callable[[], T]) -> T:
        try:
            return command()
        except RedisError as error:
            raise StoreUnavailableError(str(error)) from error


Store = MemoryStore | RedisStore


def make_store(app: Flask) -> Store:
    """Create the store from the settings, without connecting."""
    url = app.config["STORE_URL"]
    return RedisStore(RedisUrl.parse(url).client(timeout=REDIS_TIMEOUT)) if url else MemoryStore()
