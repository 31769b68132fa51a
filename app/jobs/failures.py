"""Listens to Celery's signals, and writes a dead letter when a task fails permanently."""

from typing import Any

import structlog
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery import signals
from celery.exceptions import NotRegistered, Reject

from app.jobs import dead_letters
from app.logs.redaction import describe

log = structlog.get_logger(__name__)

# Celery reports these failures in the worker's main process: the process that ran the task is dead or does not report
# them.
MAIN_PROCESS_FAILURES = (TimeLimitExceeded, WorkerLostError, Reject)


def init_app() -> None:
    """Connect the signal handlers. Signals are global to the process, and connecting twice changes nothing."""
    signals.task_retry.connect(_on_retry)
    signals.task_failure.connect(_on_failure)
    signals.task_internal_error.connect(_on_failure)
    signals.task_unknown.connect(_on_unknown)


def _on_retry(request: Any, reason: Any, **_: Any) -> None:
    """Log the reason of a retry. Celery logs it at INFO, together with all successful tasks, which we do not log."""
    log.warning("task tries again", task=request.task, retries=request.retries, error=describe(reason.exc or reason))


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
        dead_letter = dead_letters.write(sender.name, task_id, args or (), kwargs or {}, exception, request_id)
        (dead_letters.deposit if isinstance(exception, MAIN_PROCESS_FAILURES) else dead_letters.record)(dead_letter)


def _on_unknown(sender: Any, message: Any, **call: Any) -> None:
    """Write the dead letter of a task that this release does not know, for example one from a newer release."""
    with sender.app.Task.flask.app_context():
        args, kwargs, *_rest = message.payload
        error, request_id = NotRegistered(call["name"]), message.headers.get("request_id") or ""
        dead_letters.deposit(dead_letters.write(call["name"], call["id"], args, kwargs, error, request_id))
