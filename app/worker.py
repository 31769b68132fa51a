"""The entry point of Celery: `celery --app app.worker worker` and `… beat`. The worker serves metrics of its own."""

from __future__ import annotations

from typing import Any

import billiard.pool
import structlog
from celery import Celery, signals
from prometheus_client import REGISTRY, start_http_server

from app import create_app
from app.jobs.worker_metrics import QueueCollector
from app.logs import structured

log = structlog.get_logger(__name__)

# Tenths of a second that a process waits at its end until its last result is read. At a warm shutdown Celery forgets a task that a process
# was given and has not confirmed yet, and gives it back to the broker. The process does it all the same, and would wait half a minute.
billiard.pool.GUARANTEE_MESSAGE_CONSUMPTION_RETRY_LIMIT = 30

flask_app = create_app()
celery_app: Celery = flask_app.extensions["celery"]
celery_app.Task.Request = "app.jobs.worker_metrics:CountedRequest"
celery_app.Task.Strategy = "app.jobs.worker_messages:strategy"


@signals.setup_logging.connect
def _log_like_the_application(**_: Any) -> None:
    """Keep Celery from making loggers of its own."""
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
        log.warning("metrics are not served", address=address, port=port, error=str(error))
