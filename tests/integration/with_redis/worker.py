"""The real worker with shorter timeouts, and with tasks that misbehave."""

import os
import signal
import time
from functools import partialmethod
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded
from kombu.transport.redis import QoS

from app.jobs import retry
from app.news import articles
from app.worker import celery_app
from tests.integration.with_redis.timeouts import LOST_AFTER, VISIBILITY_TIMEOUT

retry.LOST_AFTER = LOST_AFTER
celery_app.conf.broker_transport_options |= {"visibility_timeout": VISIBILITY_TIMEOUT, "unacked_restore_interval": 1}
# By default kombu restores messages only in every tenth call.
QoS.restore_visible = partialmethod(QoS.restore_visible, interval=1)  # type: ignore[method-assign, assignment]
_process = articles.process


def _slowly(*args: Any) -> Any:
    """Process slowly, so that tasks are running when the worker is killed."""
    time.sleep(0.05)
    return _process(*args)


articles.process = _slowly  # type: ignore[assignment]


@celery_app.task(name="sleep", soft_time_limit=1, time_limit=2)
def sleep(stubborn: bool) -> None:
    """Exceed the soft time limit. If `stubborn`, exceed the hard limit too."""
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        if not stubborn:
            raise
        time.sleep(60)


@celery_app.task(name="die", max_retries=2, default_retry_delay=0)
def die() -> None:
    """Kill the process, as the kernel does if memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
