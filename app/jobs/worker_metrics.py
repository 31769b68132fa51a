"""What a worker counts: tasks by outcome, their time, and how much waits."""

from __future__ import annotations

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
    """Counts outcomes in the worker's main process, to which its pool reports: the children need no files to share counts by."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Wrap `on_success`: Celery makes a subclass for each task whose own answers successes without asking this class."""
        super().__init__(*args, **kwargs)
        answer: Callable[..., Any] = self.on_success

        def count(failed__retval__runtime: tuple[bool, Any, Any], **more: Any) -> Any:
            failed, _, runtime = failed__retval__runtime
            # One that has failed has no runtime, and goes on to `on_failure`.
            if not failed:
                RUNTIME.labels(task=self.name).observe(runtime)
                TASKS.labels(task=self.name, outcome="succeeded").inc()
            return answer(failed__retval__runtime, **more)

        self.__dict__["on_success"] = count

    def on_accepted(self, *args: Any) -> Any:
        """Note how long the task has waited; the clocks of two hosts differ a little."""
        answer = super().on_accepted(*args)
        if self.time_start and (sent_at := self.request_dict.get("sent_at")):
            AGE.labels(task=self.name).observe(max(0.0, self.time_start - float(sent_at)))
        return answer

    def on_failure(self, exc_info: Any, send_failed_event: bool = True, return_ok: bool = False) -> Any:
        """Count a task that has failed, was lost or asks for another attempt."""
        error = exc_info.exception
        error = error.exc if isinstance(error, ExceptionWithTraceback) else error
        # A task that was killed for its time is counted in `on_timeout`; its failure is reported too.
        if not isinstance(error, TimeLimitExceeded):
            TASKS.labels(task=self.name, outcome=OUTCOMES.get(type(error), "failed")).inc()
        return super().on_failure(exc_info, send_failed_event=send_failed_event, return_ok=return_ok)

    def on_timeout(self, soft: bool, timeout: float) -> Any:
        """Count a task that was stopped."""
        if not soft:
            TASKS.labels(task=self.name, outcome="timed out").inc()
        return super().on_timeout(soft, timeout)


class QueueCollector(Collector):
    """Asks the broker at every scrape how much waits."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        """Yield the queue's length, the tasks that workers have taken, and dead letters; nothing where the broker does not answer."""
        if not isinstance(self._store, RedisStore):
            return
        try:
            waiting: Any
            taken: Any
            letters: Any
            waiting, taken = self._store.client.llen(QUEUE), self._store.client.hlen("unacked")
            letters = self._store.client.get(DEAD_LETTERS_WAITING)
        except RedisError as error:
            log.warning("queue not measured", error=str(error))
            return
        length = GaugeMetricFamily("celery_queue_length", "Tasks that wait for a worker", labels=["queue"])
        length.add_metric([QUEUE], waiting)
        yield length
        yield GaugeMetricFamily(
            "celery_tasks_unacknowledged", "Tasks that workers have taken and not finished", value=taken
        )
        yield GaugeMetricFamily(
            "celery_dead_letters", "Tasks that failed for good and wait for an administrator", value=int(letters or 0)
        )
