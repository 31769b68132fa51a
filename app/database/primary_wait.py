"""Connections that wait for a primary which is being appointed.

A planned hand-over leaves the database without a primary for a second or two. Whoever connects meanwhile has said nothing yet, so that
waiting loses nothing and does nothing twice. A longer outage must not hold every thread of the application: it is waited for once, and
by some of the threads; everybody else is told at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Seconds between two attempts.
PAUSE = 0.1


class PrimaryWait:
    """Repeats attempts to connect for some seconds after the first one that failed."""

    def __init__(self, seconds: float, waiting: int) -> None:
        """Wait for `seconds` from an outage's first failure on, in at most `waiting` threads at a time."""
        self.seconds = seconds
        self._places = threading.BoundedSemaphore(waiting)
        self._began = self._failed = float("-inf")

    def connect(self, attempt: Callable[[], T], refusal: type[Exception]) -> T:
        """Return what `attempt` returns, or let its `refusal` pass once there is no sense in waiting."""
        waits = False
        try:
            while True:
                started = time.monotonic()
                try:
                    return attempt()
                except refusal:
                    if not self._is_young(started):
                        raise
                    waits = waits or self._places.acquire(blocking=False)
                    if not waits:
                        raise
                time.sleep(PAUSE)
        finally:
            if waits:
                self._places.release()

    def _is_young(self, started: float) -> bool:
        """Note that an attempt of that time was refused, and tell whether its outage has only begun."""
        now = time.monotonic()
        # Where nobody was refused for so long, this is another outage.
        if started > self._failed + self.seconds:
            self._began = started
        self._failed = now
        return now < self._began + self.seconds
