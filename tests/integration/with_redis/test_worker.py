"""A real worker that is killed, hangs, and gets malformed messages."""

import time
from typing import Any

import pytest
from celery import Celery
from flask import Flask
from redis import Redis
from sqlalchemy import func, select

from app.accounts import users
from app.database.models import Article, FailedTask
from app.extensions import db, store
from app.jobs import dead_letters
from app.jobs.celery_app import QUEUE, send
from app.news import articles
from tests.integration.with_redis.conftest import Worker
from tests.integration.with_redis.timeouts import LOST_AFTER
from tests.support.live.fleet import eventually

pytestmark = pytest.mark.usefixtures("worker")
COUNT = 100


@pytest.fixture
def published(app: Flask) -> list[int]:
    """Ids of new articles, whose tasks are in the queue."""

    def create(session: Any) -> list[int]:
        user = users.create_user(session, email="ada@news.example", password="correct horse battery", name="Ada")
        return [
            articles.create(
                session, author_id=user.id, title=f"Title {number}", content=f"Bridge {number} is closed."
            ).id
            for number in range(COUNT)
        ]

    ids: list[int] = app.extensions["database"].write(create)
    for article_id in ids:
        store.count_view(article_id)
        assert send("process_new_article", article_id)
    return ids


def processed() -> int:
    return db.read(lambda session: session.scalar(select(func.count()).where(Article.processed_at.is_not(None)))) or 0


def stored_dead_letters() -> list[FailedTask]:
    dead_letters.collect()
    return db.read(lambda session: dead_letters.newest(session, after=None, limit=10))


def test_a_worker_that_is_killed_twice_loses_no_task_and_counts_no_view_twice(
    published: list[int], worker: Worker, redis: Redis
) -> None:
    for done in (10, 50):
        assert eventually(lambda done=done: processed() >= done, within=60, every=0.05)  # type: ignore[misc]
        # Several flushes around the kill must still count each view once.
        for _ in range(3):
            send("flush_views")
        worker.restart()
    # Tasks of a killed worker are redelivered after the visibility timeout, on a busy machine later.
    assert eventually(lambda: processed() == COUNT or redis.llen(QUEUE) == redis.hlen("unacked") == 0, within=240)
    # Kombu removes a message from the queue before it stores it as unacknowledged. A kill in between loses the message,
    # so only the periodic task finds that article.
    time.sleep(LOST_AFTER.total_seconds())
    send("process_forgotten_articles")
    assert eventually(lambda: processed() == COUNT, within=60)
    send("flush_views")
    assert eventually(lambda: redis.llen(QUEUE) == 0 and redis.hlen("unacked") == 0, within=60)
    views = db.read(lambda session: [session.get_one(Article, article).views for article in published])
    assert views == [1] * COUNT
    assert stored_dead_letters() == []


@pytest.mark.parametrize(("stubborn", "error"), [(False, "SoftTimeLimitExceeded"), (True, "TimeLimitExceeded")])
def test_a_task_that_exceeds_its_time_limit_becomes_a_dead_letter(app: Flask, stubborn: bool, error: str) -> None:
    celery: Celery = app.extensions["celery"]
    celery.send_task("sleep", args=[stubborn], headers={"request_id": "request-1"})
    (failed,) = eventually(stored_dead_letters, within=30)
    assert (failed.task, failed.arguments, failed.request_id) == ("sleep", [stubborn], "request-1")
    assert failed.error.partition("(")[0] == error


def test_a_task_that_kills_its_process_becomes_a_dead_letter_after_its_retries(
    app: Flask, redis: Redis, worker: Worker
) -> None:
    celery: Celery = app.extensions["celery"]
    celery.send_task("die")
    (failed,) = eventually(stored_dead_letters, within=60)
    assert (failed.task, failed.error.partition(":")[0]) == ("die", "WorkerLostError")
    assert eventually(lambda: redis.llen(QUEUE) == redis.hlen("unacked") == 0, within=10)
    assert worker.process.poll() is None


def test_malformed_messages_are_not_redelivered(app: Flask, redis: Redis, worker: Worker, published: list[int]) -> None:
    celery: Celery = app.extensions["celery"]
    celery.send_task("from_the_future", args=[1])
    celery.send_task("process_new_article", args=["a", "b", "c"])
    header = {"task": "process_new_article", "id": "poison", "lang": "py"}
    with celery.producer_pool.acquire() as producer:
        for body in ("[]", "5", "no json", '[["x"], "y", {}]'):
            producer.publish(
                body,
                routing_key=QUEUE,
                headers=header,
                content_type="application/json",
                content_encoding="utf-8",
                serializer=None,
            )
    assert eventually(lambda: processed() == len(published), within=60)
    assert eventually(lambda: redis.llen(QUEUE) == 0 and redis.hlen("unacked") == 0, within=30)
    time.sleep(1)
    assert worker.process.poll() is None
    assert {failed.task for failed in stored_dead_letters()} == {"from_the_future", "process_new_article"}
