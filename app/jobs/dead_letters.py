"""Dead letters: tasks that failed permanently. They wait until an administrator sends them again or discards them.

The process that ran a task writes its dead letter to the database. Some failures are visible only to the worker's main
process: a task that exceeded its time limit, whose process died, or that is unknown. The main process must not wait for
a database, so it writes to the store. All processes do that while the database is down. `collect` moves dead letters
from the store to the database.
"""

import inspect
import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import shared_task, signals
from celery.exceptions import NotRegistered, Reject
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

MAX_ARGUMENTS_LENGTH = 4000
# Requeued dead letters are kept for this time, for the analysis of the failure.
REQUEUED_KEPT = timedelta(days=30)
COLLECT_LIMIT = 100
# Celery reports these failures in the worker's main process: the process that ran the task is dead or does not report
# them.
MAIN_PROCESS_FAILURES = (TimeLimitExceeded, WorkerLostError, Reject)


class DeadLetterError(Exception):
    """A dead letter cannot be sent again. The message gives the reason."""


class DeadLetter(msgspec.Struct):
    """A failed task, its arguments and its error."""

    task_id: str
    task: str
    arguments: list[Any]
    error: str
    request_id: str
    failed_at: datetime


def write(
    task: str, task_id: str, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException, request_id: str = ""
) -> DeadLetter:
    """Create a dead letter with values that every database can store."""
    return DeadLetter(
        task_id[:64],
        _clean(task)[:100],
        _storable(_positional(task, args, kwargs)),
        describe(error),
        request_id[:64],
        now(),
    )


def record(dead_letter: DeadLetter) -> None:
    """Write a dead letter to the database, or to the store if the database is down. Never raise: workers must go on."""
    try:
        _insert(dead_letter)
    except SQLAlchemyError as error:
        log.warning("dead letter waits in the store", error=describe(error))
        deposit(dead_letter)


def deposit(dead_letter: DeadLetter) -> None:
    """Write a dead letter to the store, without waiting for a database. Never raise."""
    try:
        store.keep_dead_letter(msgspec.msgpack.encode(dead_letter))
    except StoreUnavailableError as error:
        log.error("dead letter lost", error=str(error), dead_letter=msgspec.to_builtins(dead_letter))


@shared_task(name="collect_dead_letters")
def collect() -> int:
    """Move dead letters from the store to the database, delete old ones, and update the metric. Return the number."""
    collected = 0
    for packed in store.dead_letters(COLLECT_LIMIT):
        try:
            _insert(msgspec.msgpack.decode(packed, type=DeadLetter))
            collected += 1
        except (DataError, msgspec.DecodeError) as error:
            log.error("dead letter dropped", error=describe(error))
        store.drop_dead_letter(packed)
    db.write(lambda session: session.execute(delete(FailedTask).where(FailedTask.requeued_at < now() - REQUEUED_KEPT)))
    store.note_dead_letters(db.read(waiting, primary=True))
    if collected:
        log.info("dead letters collected", dead_letters=collected)
    return collected


def newest(session: Session, *, after: int | None, limit: int) -> list[FailedTask]:
    """Return dead letters, newest first. `after` is the last id of the previous page."""
    page = select(FailedTask).order_by(FailedTask.id.desc()).limit(limit)
    return list(session.scalars(page if after is None else page.where(FailedTask.id < after)))


def waiting(session: Session) -> int:
    """Return the number of dead letters that wait for an administrator."""
    return session.scalar(select(func.count()).select_from(FailedTask).where(FailedTask.requeued_at.is_(None))) or 0


def requeue(dead_letter_id: int) -> bool:
    """Send the task again, but only once.

    Return whether this call sent it. Raise DeadLetterError if it cannot be sent.
    """
    # One statement, so that the second of two concurrent requests finds nothing.
    take = (
        update(FailedTask)
        .where(FailedTask.id == dead_letter_id, FailedTask.requeued_at.is_(None))
        .values(requeued_at=now())
        .returning(FailedTask.task, FailedTask.arguments)
    )
    taken = db.write(lambda session: session.execute(take).one_or_none())
    if taken is None:
        return False
    name, arguments = taken
    known = name in _tasks()
    if not known or not celery_app.send(name, *arguments):
        back = update(FailedTask).where(FailedTask.id == dead_letter_id).values(requeued_at=None)
        db.write(lambda session: session.execute(back))
        raise DeadLetterError(
            "the broker does not answer; try again in a moment" if known else f"this release has no task {name}"
        )
    log.info("dead letter sent again", dead_letter=dead_letter_id, task=name)
    return True


def discard(dead_letter_id: int) -> bool:
    """Delete a dead letter. Return whether it existed."""
    statement = delete(FailedTask).where(FailedTask.id == dead_letter_id).returning(FailedTask.id)
    return db.write(lambda session: session.scalar(statement)) is not None


# Celery calls the following functions when a task fails. Signals are global to the process.
@signals.task_retry.connect
def _on_retry(request: Any, reason: Any, **_: Any) -> None:
    """Log the reason of a retry. Celery logs it at INFO, together with all successful tasks, which we do not log."""
    log.warning("task tries again", task=request.task, retries=request.retries, error=describe(reason.exc or reason))


@signals.task_failure.connect
@signals.task_internal_error.connect
def _on_failure(sender: Any, task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    """Write the dead letter of a task that used up its retries, was stopped or lost, or met an unexpected error."""
    if isinstance(exception, sender.throws):
        log.warning("task gave up", task=sender.name, error=describe(exception))
        return
    # Periodic tasks need no dead letter: the next run does the work.
    if sender.name in {entry["task"] for entry in sender.app.conf.beat_schedule.values()}:
        return
    with sender.app.Task.flask.app_context():
        request_id = sender.request.get("request_id") or ""
        dead_letter = write(sender.name, task_id, args or (), kwargs or {}, exception, request_id)
        (deposit if isinstance(exception, MAIN_PROCESS_FAILURES) else record)(dead_letter)


@signals.task_unknown.connect
def _on_unknown(sender: Any, message: Any, **call: Any) -> None:
    """Write the dead letter of a task that this release does not know, for example one from a newer release."""
    with sender.app.Task.flask.app_context():
        args, kwargs, *_rest = message.payload
        error, request_id = NotRegistered(call["name"]), message.headers.get("request_id") or ""
        deposit(write(call["name"], call["id"], args, kwargs, error, request_id))


def _insert(dead_letter: DeadLetter) -> None:
    try:
        db.write(lambda session: session.execute(insert(FailedTask), msgspec.structs.asdict(dead_letter)))
    except IntegrityError:
        # Celery reports a task that exceeded its time limit twice. A task that is delivered twice can also fail twice.
        log.info("dead letter exists already", task_id=dead_letter.task_id)


def _tasks() -> Any:
    return current_app.extensions["celery"].tasks


def _positional(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """Return all arguments as positional ones.

    If they do not fit the task, keyword arguments stay as a dict at the end.
    """
    if not kwargs:
        return list(args)
    task = _tasks().get(name)
    try:
        bound = inspect.signature(task.run).bind(*args, **kwargs) if task else None
    except TypeError:
        bound = None
    return [*args, dict(kwargs)] if bound is None or bound.kwargs else list(bound.args)


def _storable(arguments: list[Any]) -> list[Any]:
    """Return arguments that Postgres accepts as JSON: no NUL, no surrogates, and a limited length."""
    encoded = json.dumps(arguments, default=repr, ensure_ascii=False)
    if len(encoded) > MAX_ARGUMENTS_LENGTH or _clean(encoded) != encoded or "\\u0000" in encoded:
        return [_clean(encoded)[:MAX_ARGUMENTS_LENGTH]]
    stored: list[Any] = json.loads(encoded)
    return stored


def _clean(content: str) -> str:
    return content.encode("utf-8", "replace").decode().replace("\0", "").replace("\\u0000", "")
