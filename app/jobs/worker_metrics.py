"""Metrics of a worker: outcomes and durations of tasks, and the length of the queue."""

from collections.abc import Callable, Iterator
from typing import Any

import structlog
from billiard.einfo import ExceptionWithTraceback  # type: ignore[attr-defined]
from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.exceptions import Reject, Retry
from celery.worker.request import Request
from prometheus_client import Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from redis.exceptions import RedisError

from app.jobs.celery_app import QUEUE
from app.redis.store import DEAD_LETTERS_WAITING, RedisStore, Store

log = structlog.get_logger(__name__)

TASKS = Counter("celery_tasks", "Tasks that this worker has run", ["task", "outcome"])
RUNTIME = Histogram(
    "celery_task_duration_seconds",
    "Time that a task took",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 120.0),
)

AGE = Histogram(
    "celery_task_age_seconds",
    "Time from sending a task to its start",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0),
)
OUTCOMES: dict[type[BaseException], str] = {Retry: "retried", WorkerLostError: "lost", Reject: "rejected"}


class CountedRequest(Request):
    """Counts outcomes in the worker's main process, which gets all results. So child processes need no shared files."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Wrap `on_success`. Celery creates a subclass for each task, whose `on_success` does not call this class."""
        super().__init__(*args, **kwargs)
        answer: Callable[..., Any] = self.on_success

        def count(failed__retval__runtime: tuple[bool, Any, Any], **more: Any) -> Any:
            failed, _, runtime = failed__retval__runtime
            # A failed task has no runtime. Celery calls `on_failure` for it.
            if not failed:
                RUNTIME.labels(task=self.name).observe(runtime)
                TASKS.labels(task=self.name, outcome="succeeded").inc()
            return answer(failed__retval__runtime, **more)

        self.__dict__["on_success"] = count

    def on_accepted(self, *args: Any) -> Any:
        """Record how long the task waited.

        It can be negative if the clocks of two hosts differ, so 0 is the minimum.
        """
        answer = super().on_accepted(*args)
        if self.time_start and (sent_at := self.request_dict.get("sent_at")):
            AGE.labels(task=self.name).observe(max(0.0, self.time_start - float(sent_at)))
        return answer

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Count a task that failed, was lost, or will be retried."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        # `on_timeout` has already counted a task that exceeded its time limit.
        if not isinstance(error, TimeLimitExceeded):
            TASKS.labels(task=self.name, outcome=OUTCOMES.get(type(error), "failed")).inc()
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Count a task that exceeded its time limit."""
        if not soft:
            TASKS.labels(task=self.name, outcome="timed out").inc()
        return super().on_timeout(soft, timeout)


class QueueCollector(Collector):
    """Reads the length of the queue at every scrape."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the waiting tasks, the unacknowledged tasks, and the dead letters.

        If the broker is down, yield nothing.
        """
        if not isinstance(self._store, RedisStore):
            return
        try:
            waiting, taken = self._store.client.llen(QUEUE), self._store.client.hlen("unacked")
            dead = self._store.client.get(DEAD_LETTERS_WAITING)
        except RedisError as error:
            log.warning("broker unavailable, queue metrics are missing", error=str(error))
            return
        length = GaugeMetricFamily("celery_queue_length", "Tasks that wait for a worker", labels=["queue"])
        length.add_metric([QUEUE], waiting)
        yield length
        yield GaugeMetricFamily(
            "celery_tasks_unacknowledged", "Tasks that workers have taken and not finished", value=taken
        )
        yield GaugeMetricFamily(
            "celery_dead_letters", "Tasks that failed permanently and wait for an administrator", value=int(dead or 0)
        )
