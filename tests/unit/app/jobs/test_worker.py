from typing import Any
from unittest.mock import Mock

import pytest
from celery import Celery
from prometheus_client import REGISTRY

from app.database.models import Article
from app.extensions import store
from app.jobs.celery_app import QUEUE
from app.news import tasks, view_counts
from tests.support.live.fleet import eventually
from tests.unit.app.conftest import Publish, run_python, stored


def counted(outcome: str) -> float:
    return REGISTRY.get_sample_value("celery_tasks_total", {"task": "flush_views", "outcome": outcome}) or 0.0


def run(outcome: str) -> None:
    """Send the task and wait until the worker has counted it."""
    before = counted(outcome)
    tasks.flush_views.apply_async()
    assert eventually(lambda: counted(outcome) == before + 1, every=0.02)


@pytest.mark.usefixtures("worker")
def test_a_worker_counts_succeeded_and_failed_tasks(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    article = publish()
    store.count_view(article.id)
    run("succeeded")
    monkeypatch.setattr(view_counts, "flush", Mock(side_effect=RuntimeError("crash")))
    run("failed")
    assert stored(Article, article.id).views == 1
    assert (REGISTRY.get_sample_value("celery_task_age_seconds_count", {"task": "flush_views"}) or 0.0) >= 2


def publish_raw(worker: Celery, body: str, **headers: Any) -> None:
    with worker.producer_pool.acquire() as producer:
        header = {"task": "flush_views", "id": "poison", "lang": "py"} | headers
        options: Any = {"content_type": "application/json", "content_encoding": "utf-8", "headers": header}
        producer.publish(body, routing_key=QUEUE, serializer=None, **options)


@pytest.mark.parametrize("body", ["[]", "5", '[["x"], "y", {}]', "no json"])
def test_a_malformed_message_does_not_stop_the_worker(worker: Celery, body: str) -> None:
    publish_raw(worker, body)
    run("succeeded")


@pytest.mark.parametrize(
    ("header", "value"),
    [("id", []), ("timelimit", "abc"), ("timelimit", ["a", "b"]), ("retries", "x"), ("sent_at", "x"), ("eta", 5)],
)
def test_a_malformed_header_does_not_stop_the_worker(worker: Celery, header: str, value: Any) -> None:
    publish_raw(worker, "[[], {}, {}]", **{header: value})
    run("succeeded")


# In a process of its own: importing the entry point creates an application and changes billiard's pool.
LAST_RESULT = """
from types import SimpleNamespace
import billiard.pool
import app.worker
naps = []
billiard.pool.time = SimpleNamespace(sleep=naps.append)
process = object.__new__(billiard.pool.Worker)
process.on_ready_counter = SimpleNamespace(value=0)
assert not process._ensure_messages_consumed(completed=1)
assert 1 < sum(naps) < 5, sum(naps)
"""


def test_a_pool_process_waits_only_a_few_seconds_for_its_last_result_to_be_read() -> None:
    run_python(LAST_RESULT)
