"""The Celery application. Tasks run in the context of the Flask application and carry the id of the request."""

import time
from datetime import datetime, timedelta
from importlib import import_module
from typing import Any

import structlog
from celery import Celery, Task, signals
from flask import Flask, current_app
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from app.redis.url import RedisUrl
from app.web.metrics import TASKS_SENT

log = structlog.get_logger(__name__)

# Celery and kombu import these when the first task is sent. We import them earlier, before gunicorn forks. Then no
# request waits for the import, and all processes share the memory.
PRELOADED = (
    "celery.app.amqp",
    "celery.app.events",
    "celery.events.dispatcher",
    "celery.loaders.app",
    "app.jobs.broker",
)

QUEUE = "default"
# Maximum seconds of a task. Redis redelivers a task after the visibility timeout, so that timeout must be longer.
TIME_LIMIT = 120
VISIBILITY_TIMEOUT = 3 * TIME_LIMIT
# Seconds between two searches for articles and e-mails whose task was lost.
SWEEP_SECONDS = 60.0
# Seconds until a dead letter in the store reaches the database, where administrators see it.
COLLECT_SECONDS = 15.0
# Seconds between two deletions of old rows.
PRUNE_SECONDS = 3600.0
# After a failure the broker is not used for this many seconds.
RETRY_AFTER = 5.0


def init_app(app: Flask, *, task_modules: list[str]) -> None:
    """Create the Celery application as Flask's documentation describes, and load the tasks of these modules."""

    class FlaskTask(Task[Any, Any]):
        """Runs the task in the application's context."""

        flask = app
        # Seconds until the retry of a task whose process died.
        default_retry_delay = 5

        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            with app.app_context():
                return self.run(*args, **kwargs)

    celery_app: Celery = Celery(app.name, task_cls=FlaskTask)
    celery_app.config_from_object(_settings(app) | {"imports": task_modules})
    celery_app.set_default()
    celery_app.loader.import_default_modules()
    for module in PRELOADED:
        import_module(module)
    app.extensions["celery"] = celery_app
    app.extensions["broker_retry_at"] = 0.0


def send(name: str, *args: Any) -> bool:
    """Send a task. Return whether the broker accepted it. Call this after the commit of the data that the task reads.

    A request does not fail if the broker is down: periodic tasks find unfinished work in the database.
    """
    celery: Celery = current_app.extensions["celery"]
    sent = False
    if time.monotonic() >= current_app.extensions["broker_retry_at"]:
        try:
            celery.tasks[name].apply_async(args)
            sent = True
        except (OperationalError, RedisError, OSError) as error:
            current_app.extensions["broker_retry_at"] = time.monotonic() + RETRY_AFTER
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
        # Acknowledge a task after it has run. If its worker dies, the task runs again, so tasks must be idempotent.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # This counts as a retry. Otherwise a task that kills its process (out of memory) would run again for ever.
        "task_retry_on_worker_lost": True,
        "worker_prefetch_multiplier": 1,
        "task_time_limit": TIME_LIMIT,
        "task_soft_time_limit": TIME_LIMIT - 10,
        "worker_hijack_root_logger": False,
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        "broker_connection_timeout": 1.0,
        # One short attempt: with Celery's own retries a request waited six seconds for a broker that hangs (measured).
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
    # The next run comes soon, so a run that waited longer in the queue is dropped.
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": max(seconds, 10.0)}}


@signals.before_task_publish.connect
def _add_headers(headers: dict[str, Any], **_: Any) -> None:
    """Add the id of the request and the time from which the task may run, which is later for a retry."""
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
