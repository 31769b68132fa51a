"""Which failures are for good, and where Celery tells of them: in the process that ran the task, or in a worker's main process alone."""

from __future__ import annotations

from typing import Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import Task, signals
from celery.exceptions import NotRegistered, Reject
from flask import Flask

from app.jobs import dead_letters
from app.logs.redaction import describe

log = structlog.get_logger(__name__)

# The process that ran the task cannot tell of these: it is gone, or has left the answer to its parent.
SEEN_BY_MAIN_PROCESS = (TimeLimitExceeded, WorkerLostError, Reject)


def init_app() -> None:
    """Listen to Celery. Its signals are the process's: listening twice changes nothing."""
    signals.task_retry.connect(_retried)
    signals.task_failure.connect(_failed)
    signals.task_internal_error.connect(_failed)
    signals.task_unknown.connect(_unknown)


def _retried(request: Any, reason: Any, **_: Any) -> None:
    """Say why a task is tried again; Celery's own line drowns among those of tasks that went well."""
    log.warning("task tries again", task=request.task, retries=request.retries, error=describe(reason.exc or reason))


def _failed(sender: Task[Any, Any], task_id: str, exception: BaseException, args: Any, kwargs: Any, **_: Any) -> None:
    """Write the letter of a task whose retries are used up, that was stopped or lost, or that met what it does not expect."""
    if isinstance(exception, sender.throws):
        log.warning("task gave up", task=sender.name, error=describe(exception))
        return
    # The next one of a periodic task makes good what this one has not done.
    if sender.name in {entry["task"] for entry in sender.app.conf.beat_schedule.values()}:
        return
    with _application(sender.app).app_context():
        request_id = sender.request.get("request_id") or ""
        letter = dead_letters.write(sender.name, task_id, args or (), kwargs or {}, exception, request_id)
        (dead_letters.deposit if isinstance(exception, SEEN_BY_MAIN_PROCESS) else dead_letters.record)(letter)


def _unknown(sender: Any, message: Any, name: str, id: str, **_: Any) -> None:  # noqa: A002
    """Write the letter of a task that this release does not know: one that comes from a newer release, or from a mistake."""
    with _application(sender.app).app_context():
        args, kwargs, *_rest = message.payload
        dead_letters.deposit(
            dead_letters.write(name, id, args, kwargs, NotRegistered(name), message.headers.get("request_id") or "")
        )


def _application(celery: Any) -> Flask:
    app: Flask = celery.Task.flask
    return app
