"""The worker of these tests: the real one, told to notice a dead worker in seconds instead of minutes, and with tasks that misbehave."""

from __future__ import annotations

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
from tests.integration.with_redis.sooner import FORGOTTEN_AFTER, VISIBILITY_TIMEOUT

retry.LOST_AFTER = FORGOTTEN_AFTER
celery_app.conf.broker_transport_options |= {"visibility_timeout": VISIBILITY_TIMEOUT, "unacked_restore_interval": 1}
# Kombu looks every time that it is told to, and does nothing nine times out of ten.
QoS.restore_visible = partialmethod(QoS.restore_visible, interval=1)  # type: ignore[method-assign, assignment]
_process = articles.process


def _slowly(*args: Any) -> Any:
    """Take time, so that a kill meets tasks that run."""
    time.sleep(0.05)
    return _process(*args)


articles.process = _slowly  # type: ignore[assignment]


@celery_app.task(name="sleep", soft_time_limit=1, time_limit=2)
def sleep(stubborn: bool) -> None:
    """Run longer than it may, a stubborn one even after it was told."""
    try:
        time.sleep(60)
    except SoftTimeLimitExceeded:
        if not stubborn:
            raise
        time.sleep(60)


@celery_app.task(name="die", max_retries=2, default_retry_delay=0)
def die() -> None:
    """Take the process along, as the kernel does where memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)
