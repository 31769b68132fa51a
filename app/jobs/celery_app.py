"""Celery, bound to the Flask application: tasks run in its context, carry the request's id, and are sent without holding up a page."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

# Celery and kombu import these when the first task is sent. gunicorn forks after it has loaded the application: here all its processes
# share them, and no request waits for them.
import celery.app.amqp
import celery.app.events
import celery.events.dispatcher
import celery.loaders.app  # noqa: F401
import kombu.transport.redis  # noqa: F401
import structlog
from celery import Celery, Task, signals
from flask import Flask, current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.redis.url import RedisUrl
from app.web.metrics import TASKS_SENT

log = structlog.get_logger(__name__)

QUEUE = "default"
# Longest run of a task. A task that runs longer than the visibility timeout would be given to a second worker.
TIME_LIMIT = 120
VISIBILITY_TIMEOUT = 3 * TIME_LIMIT
# Seconds of the pause between two looks for articles and letters whose task was lost.
SWEEP_SECONDS = 60.0
# Seconds after which an administrator sees what a worker's main process has put into the store.
COLLECT_SECONDS = 15.0
# Seconds between two looks for what is kept for a day, or for a month.
PRUNE_SECONDS = 3600.0
# Seconds for which a broker that has failed is not asked again.
REST_AFTER_FAILURE = 5.0


def init_app(app: Flask, *, task_modules: list[str]) -> None:
    """Create the Celery application, as Flask documents it, and load the tasks that these modules declare."""

    class FlaskTask(Task[Any, Any]):
        """Runs in the application's context."""

        flask = app
        # Seconds until a task whose process died is tried again.
        default_retry_delay = 5

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app: Celery = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(_settings(app) | {"imports": task_modules})
    celery_app.set_default()
    celery_app.loader.import_default_modules()
    app.extensions["celery"] = celery_app
    app.extensions["broker_rests_until"] = 0.0


def send(name: str, *args: Any) -> bool:
    """Send a task, after the commit that it is about; return whether a broker took it.

    A page that does not need the task does not fail with it: what must not be lost is found again from the database.
    """
    celery: Celery = current_app.extensions["celery"]
    sent = False
    if time.monotonic() >= current_app.extensions["broker_rests_until"]:
        try:
            celery.tasks[name].apply_async(args)
            sent = True
        except (OperationalError, RedisError, OSError) as error:
            current_app.extensions["broker_rests_until"] = time.monotonic() + REST_AFTER_FAILURE
            log.warning("broker unavailable", error=str(error))
    if not sent:
        log.warning("task not sent", task=name)
    TASKS_SENT.labels(task=name, outcome="sent" if sent else "failed").inc()
    return sent


def _settings(app: Flask) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_default_queue": QUEUE,
        # A task is done when it has run, not when it was taken: one whose worker dies runs again, so tasks are idempotent.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # Counted as a retry: a task that kills its process, for want of memory, would otherwise come back for ever.
        "task_retry_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_time_limit": TIME_LIMIT,
        "task_soft_time_limit": TIME_LIMIT - 10,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 1.0,
        # A dead broker costs a page one short attempt; Celery's own retries took six seconds where the broker hung.
        "task_publish_retry": False,
        "beat_schedule": {
            "flush-views": _every(app.config["VIEWS_FLUSH_SECONDS"], "flush_views"),
            "forget-idempotent-requests": _every(PRUNE_SECONDS, "forget_idempotent_requests"),
            "process-forgotten-articles": _every(SWEEP_SECONDS, "process_forgotten_articles"),
            "send-forgotten-emails": _every(SWEEP_SECONDS, "send_forgotten_emails"),
            "forget-emails": _every(PRUNE_SECONDS, "forget_emails"),
            "forget-unconfirmed-accounts": _every(PRUNE_SECONDS, "forget_unconfirmed_accounts"),
            "collect-dead-letters": _every(COLLECT_SECONDS, "collect_dead_letters"),
        },
    }
    if url := app.config["STORE_URL"]:
        broker = RedisUrl.parse(url).celery_settings()
        broker["broker_transport_options"] |= {"visibility_timeout": VISIBILITY_TIMEOUT, "max_retries": 1}
        settings |= broker
    else:
        settings |= {"broker_url": "memory://", "task_always_eager": True}
    return settings


def _every(seconds: float, task: str) -> dict[str, Any]:
    # Sent again soon: one that waited longer is not worth running.
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": max(seconds, 10.0)}}


@signals.before_task_publish.connect
def _add_headers(headers: dict[str, Any], **_: Any) -> None:
    """Send the request's id along, and the time from which the task may run: a retry waits on purpose."""
    eta = headers.get("eta")
    headers["sent_at"] = datetime.fromisoformat(eta).timestamp() if eta else time.time()
    if request_id := structlog.contextvars.get_contextvars().get("request_id"):
        headers["request_id"] = request_id


@signals.task_prerun.connect
def _bind_request_id(task_id: str, task: Task[Any, Any], **_: Any) -> None:
    if task.request.is_eager:
        return
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(task=task.name, task_id=task_id)
    if request_id := task.request.get("request_id"):
        structlog.contextvars.bind_contextvars(request_id=request_id)
