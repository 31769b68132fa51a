"""Celery's entry point: `celery --app app.worker worker` and `celery --app app.worker beat`."""

from typing import Any

import billiard.pool
import structlog
from celery import Celery, signals
from prometheus_client import REGISTRY, start_http_server

from app import create_app
from app.jobs.worker_metrics import QueueCollector
from app.logs import structured

log = structlog.get_logger(__name__)

# Before a pool process exits, it waits at most this many tenths of a second until its last result is read. The default
# is half a minute. At a warm shutdown Celery returns unconfirmed tasks to the broker, although a process may run one.
# Nobody reads the result of that task, so the wait would be useless.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 30

flask_app = create_app()
celery_app: Celery = flask_app.extensions["celery"]
celery_app.Task.Request = "app.jobs.worker_metrics:CountedRequest"
celery_app.Task.Strategy = "app.jobs.worker_messages:strategy"


@signals.setup_logging.connect
def _log_like_the_application(**_: Any) -> None:
    """Use the application's log format. Without a handler of this signal Celery configures its own."""
    structured.configure(flask_app.config["LOG_LEVEL"], human=flask_app.config["ENVIRONMENT"] == "development")


@signals.worker_ready.connect
def _serve_metrics(**_: Any) -> None:
    address, port = flask_app.config["CELERY_METRICS_ADDRESS"], flask_app.config["CELERY_METRICS_PORT"]
    if not port:
        return
    REGISTRY.register(QueueCollector(flask_app.extensions["store"]))
    try:
        start_http_server(port, addr=address)
    except OSError as error:
        log.warning("cannot serve metrics", address=address, port=port, error=str(error))
