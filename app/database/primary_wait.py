"""Wait for a new primary when a connection is refused.

A planned switchover leaves the database without a primary for a second or two. Waiting is safe at this point: nothing
has been sent yet, so nothing is lost and nothing runs twice. A longer outage must not block every thread of the
application. So only some threads wait, and only at the beginning of an outage. All other threads get the error at once.
"""

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

RETRY_SECONDS = 0.1


class PrimaryWait:
    """Retries refused connections during the first seconds of an outage."""

    def __init__(self, seconds: float, max_threads: int) -> None:
        """Retry for `seconds` after the first refusal of an outage, in at most `max_threads` threads at a time."""
        self.seconds = seconds
        self._slots = threading.BoundedSemaphore(max_threads)
        self._outage_began = self._last_refusal = float("-inf")

    def connect(self, attempt: Callable[[], T], refusal: type[Exception]) -> T:
        """Return the result of `attempt`. Raise its `refusal` when the outage is too long or too many threads wait."""
        has_slot = False
        try:
            while True:
                started = time.monotonic()
                try:
                    return attempt()
                except refusal:
                    if not self._outage_is_new(started):
                        raise
                    has_slot = has_slot or self._slots.acquire(blocking=False)
                    if not has_slot:
                        raise
                time.sleep(RETRY_SECONDS)
        finally:
            if has_slot:
                self._slots.release()

    def _outage_is_new(self, started: float) -> bool:
        """Record a refusal, and return whether its outage began less than `seconds` ago."""
        now = time.monotonic()
        # A refusal after a quiet time belongs to a new outage.
        if started > self._last_refusal + self.seconds:
            self._outage_began = started
        self._last_refusal = now
        return now < self._outage_began + self.seconds
