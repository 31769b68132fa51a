"""The background worker: `celery --app guestbook.tasks:celery worker`."""

import os
from typing import Any
from urllib.parse import parse_qs, urlsplit

from celery import Celery, signals
from prometheus_client import start_http_server
from sqlalchemy import update

from .database import engine, entries

# Seconds. Without them, a worker waits for ever for a host that has frozen, and a task whose worker has died comes back
# only after an hour. Redis delivers a task again after the visibility timeout, so no task may run longer.
TIMEOUTS = {"socket_timeout": 5.0, "socket_connect_timeout": 2.0, "socket_keepalive": True}
TASK_TIME_LIMIT, VISIBILITY_TIMEOUT = 60, 300


def sentinel_settings(url: str) -> dict[str, Any]:
    """Return Celery's settings for sentinel://user:password@host:port,host:port/0?master=NAME."""
    parts = urlsplit(url)
    login, _, hosts = parts.netloc.rpartition("@")
    user, _, password = login.partition(":")
    return {
        "broker_url": ";".join(f"sentinel://{login}@{host}{parts.path}" for host in hosts.split(",")),
        "broker_transport_options": {
            "master_name": parse_qs(parts.query)["master"][0],
            "sentinel_kwargs": {"username": user, "password": password, **TIMEOUTS},
            "visibility_timeout": VISIBILITY_TIMEOUT,
            **TIMEOUTS,
        },
    }


celery = Celery("guestbook")
celery.conf.update(
    sentinel_settings(os.environ["STORE_URL"]),
    task_ignore_result=True,
    task_time_limit=TASK_TIME_LIMIT,
    task_acks_late=True,
    broker_connection_retry_on_startup=True,
)


@celery.task
def thank(number: int) -> None:
    """Thank a guest. The task is idempotent."""
    with engine.begin() as connection:
        connection.execute(
            update(entries).where(entries.c.id == number).values(thanks="Thank you, " + entries.c.guest + "!")
        )


@signals.worker_ready.connect
def serve_metrics(**_: Any) -> None:
    """Serve this worker's metrics to Prometheus."""
    start_http_server(int(os.environ["CELERY_METRICS_PORT"]), addr=os.environ["CELERY_METRICS_ADDRESS"])
