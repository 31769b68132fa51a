from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from flask import Flask
from prometheus_client import REGISTRY

from app.database.models import Article, User
from app.extensions import db, store
from app.jobs.celery_app import QUEUE
from app.news import tasks, view_counts
from tools.fleet.context import ROOT


@pytest.fixture
def celery(app: Flask) -> Celery:
    """A Celery application whose tasks go through a broker (in memory) to a worker."""
    found: Celery = app.extensions["celery"]
    found.conf.task_always_eager = False
    found.Task.Request = "app.jobs.worker_metrics:CountedRequest"
    found.Task.Strategy = "app.jobs.worker_messages:strategy"
    return found


def counted(task: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("celery_tasks_total", {"task": task, "outcome": outcome}) or 0.0


def test_a_worker_counts_succeeded_and_failed_tasks(
    celery: Celery, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = Article(author_id=user.id, title="t", content="c", summary="", keywords=[])
    db.write(lambda session: session.add(article))
    store.count_view(article.id)
    before = counted("flush_views", "succeeded"), counted("flush_views", "failed")

    with start_worker(celery, perform_ping_check=False, pool="solo", loglevel="WARNING"):
        run(celery, lambda: counted("flush_views", "succeeded") == before[0] + 1)
        monkeypatch.setattr(view_counts, "flush", fail)
        run(celery, lambda: counted("flush_views", "failed") == before[1] + 1)

    assert db.read(lambda session: session.get_one(Article, article.id)).views == 1
    assert (REGISTRY.get_sample_value("celery_task_age_seconds_count", {"task": "flush_views"}) or 0.0) >= 2


@pytest.mark.parametrize("body", ["[]", "5", '[["x"], "y", {}]', "no json"])
def test_a_malformed_message_does_not_stop_the_worker(celery: Celery, body: str) -> None:
    before = counted("flush_views", "succeeded")
    with celery.producer_pool.acquire() as producer:
        header = {"task": "flush_views", "id": "poison", "lang": "py"}
        options: Any = {"content_type": "application/json", "content_encoding": "utf-8", "headers": header}
        producer.publish(body, routing_key=QUEUE, serializer=None, **options)
    with start_worker(celery, perform_ping_check=False, pool="solo", loglevel="CRITICAL"):
        run(celery, lambda: counted("flush_views", "succeeded") == before + 1)


def run(celery: Celery, until: Callable[[], bool]) -> None:
    """Send the task and wait until the worker has counted it."""
    assert celery.tasks["flush_views"].name == tasks.flush_views.name
    tasks.flush_views.apply_async()
    deadline = time.monotonic() + 10
    while not until() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert until()


def fail() -> int:
    raise RuntimeError("crash")


# Runs in a separate process: importing the entry point creates an application and changes billiard's pool.
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
    environment = os.environ | {"APP_ENV": "testing"}
    done = subprocess.run(
        [sys.executable, "-c", LAST_RESULT], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
