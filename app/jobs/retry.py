"""When to retry a failed task, and when a task counts as lost."""

from datetime import timedelta
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from app.database.engine import UNAVAILABLE
from app.redis.store import StoreUnavailableError

# A failover of the database or of the store takes less than half a minute.
TRANSIENT = (*UNAVAILABLE, StoreUnavailableError)
# A task that works through a list and catches the errors of one element must raise these: they concern all elements.
NOT_OF_ONE_ELEMENT = (*TRANSIENT, SoftTimeLimitExceeded)
# Options of `shared_task`.
RETRY: Any = {
    "autoretry_for": TRANSIENT,
    "retry_backoff": 1,
    "retry_backoff_max": 30,
    "retry_jitter": True,
    "max_retries": 8,
}
# If the database still lists work as undone after this time, its task was lost. A periodic task then does the work.
LOST_AFTER = timedelta(seconds=30)
