"""Dead letters: tasks that failed for good, kept until an administrator sends them again or discards them.

The process that ran a task writes its letter to the database. What only a worker's main process sees (a task that was killed for its time,
whose process died, or that nobody knows) goes to the store, because that process must not wait for a database; so does every letter while
the database is away. `collect` brings those to the database.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from celery import Celery, Task
from flask import current_app
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError
from sqlalchemy.orm import Session

from app.database.models import FailedTask, now
from app.extensions import db, store
from app.jobs import celery_app
from app.logs.redaction import describe
from app.redis.store import StoreUnavailableError

log = structlog.get_logger(__name__)

LONGEST_ARGUMENTS = 4000
# What was sent again is kept for that long: who looks into a failure wants to see what became of it.
REQUEUED_KEPT = timedelta(days=30)
COLLECTED_AT_ONCE = 100


class DeadLetterError(Exception):
    """A letter that cannot be sent again; the message says why."""


class DeadLetter(msgspec.Struct):
    """What is known of a failure."""

    task_id: str
    task: str
    arguments: list[Any]
    error: str
    request_id: str
    failed_at: datetime


def write(
    task: str, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException, request_id: str = ""
) -> DeadLetter:
    """Return the letter of a failure, in what every database can store."""
    return DeadLetter(
        task_id[:64],
        _clean(task)[:100],
        _storable(_positional(task, args, kwargs)),
        describe(error),
        request_id[:64],
        now(),
    )


def record(letter: DeadLetter) -> None:
    """Keep a letter. It never fails: a worker has other tasks."""
    try:
        _insert(letter)
    except SQLAlchemyError as error:
        log.warning("dead letter waits in the store", error=describe(error))
        deposit(letter)


def deposit(letter: DeadLetter) -> None:
    """Keep a letter without waiting for a database. It never fails."""
    try:
        store.keep_dead_letter(msgspec.msgpack.encode(letter))
    except StoreUnavailableError as error:
        log.error("dead letter lost", because=str(error), letter=msgspec.to_builtins(letter))


def collect() -> int:
    """Bring letters from the store to the database and note how many wait for somebody; return how many came."""
    collected = 0
    for packed in store.dead_letters(COLLECTED_AT_ONCE):
        try:
            _insert(msgspec.msgpack.decode(packed, type=DeadLetter))
            collected += 1
        except (DataError, msgspec.DecodeError) as error:
            log.error("dead letter dropped", error=describe(error))
        store.drop_dead_letter(packed)
    db.write(lambda session: session.execute(delete(FailedTask).where(FailedTask.requeued_at < now() - REQUEUED_KEPT)))
    store.note_dead_letters(db.read(waiting, primary=True))
    return collected


def newest(session: Session, *, after: int | None, limit: int) -> list[FailedTask]:
    """Return letters, the newest first; `after` is the id of the last one of the page before."""
    letters = select(FailedTask).order_by(FailedTask.id.desc()).limit(limit)
    return list(session.scalars(letters if after is None else letters.where(FailedTask.id < after)))


def waiting(session: Session) -> int:
    """Return how many letters nobody has dealt with."""
    return session.scalar(select(func.count()).select_from(FailedTask).where(FailedTask.requeued_at.is_(None))) or 0


def requeue(dead_letter_id: int) -> bool:
    """Send a letter's task again, once; return whether this call did. Raise DeadLetterError where it cannot be sent."""
    taken = db.write(lambda session: _take(session, dead_letter_id))
    if taken is None:
        return False
    name, arguments = taken
    known = name in _tasks()
    if not known or not celery_app.send(name, *arguments):
        db.write(lambda session: _mark(session, dead_letter_id, None))
        raise DeadLetterError(
            "the broker does not answer; try again in a moment" if known else f"this release knows no task {name}"
        )
    log.info("dead letter sent again", letter=dead_letter_id, task=name)
    return True


def discard(dead_letter_id: int) -> bool:
    """Forget a letter; return whether there was one."""
    found = db.write(
        lambda session: session.scalar(
            delete(FailedTask).where(FailedTask.id == dead_letter_id).returning(FailedTask.id)
        )
    )
    return found is not None


def _insert(letter: DeadLetter) -> None:
    try:
        db.write(lambda session: session.execute(insert(FailedTask), msgspec.structs.asdict(letter)))
    except IntegrityError:
        # Celery reports a task that was killed for its time twice, and one that is delivered twice can fail twice.
        log.info("dead letter is known", task_id=letter.task_id)


def _take(session: Session, dead_letter_id: int) -> tuple[str, list[Any]] | None:
    """Mark a letter as sent, in one statement: of two clicks at once one finds nothing."""
    row = session.execute(
        update(FailedTask)
        .where(FailedTask.id == dead_letter_id, FailedTask.requeued_at.is_(None))
        .values(requeued_at=now())
        .returning(FailedTask.task, FailedTask.arguments)
    ).one_or_none()
    return None if row is None else (row.task, row.arguments)


def _mark(session: Session, dead_letter_id: int, moment: datetime | None) -> None:
    session.execute(update(FailedTask).where(FailedTask.id == dead_letter_id).values(requeued_at=moment))


def _tasks() -> Mapping[str, Task[Any, Any]]:
    celery: Celery = current_app.extensions["celery"]
    return celery.tasks


def _positional(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return the arguments in their order, as the table keeps them; those that do not fit stay visible at the end."""
    if not kwargs:
        return list(args)
    task = _tasks().get(name)
    try:
        bound = inspect.signature(task.run).bind(*args, **kwargs) if task else None
    except TypeError:
        bound = None
    return [*args, dict(kwargs)] if bound is None or bound.kwargs else list(bound.args)


def _storable(arguments: list[Any]) -> list[Any]:
    """Return arguments as Postgres' JSON takes them: without NUL, half characters and more than a page can show."""
    encoded = json.dumps(arguments, default=repr, ensure_ascii=False)
    if len(encoded) > LONGEST_ARGUMENTS or _clean(encoded) != encoded or "\\u0000" in encoded:
        return [_clean(encoded)[:LONGEST_ARGUMENTS]]
    stored: list[Any] = json.loads(encoded)
    return stored


def _clean(content: str) -> str:
    return content.encode("utf-8", "replace").decode().replace("\0", "").replace("\\u0000", "")
