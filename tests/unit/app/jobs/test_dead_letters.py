from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
from fakeredis import FakeRedis
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError

from app.database.models import Article, FailedTask, now
from app.extensions import db, store
from app.jobs import dead_letters, retry
from app.jobs.dead_letters import DeadLetterError
from app.jobs.tasks import collect_dead_letters
from app.jobs.worker_metrics import QueueCollector
from app.logs.redaction import describe, redact
from app.mail.relay import DeferredError, RelayError
from app.mail.tasks import send_email
from app.news import articles, tasks
from app.redis.store import DEAD_LETTERS, MemoryStore, RedisStore, StoreUnavailableError
from tests.unit.app.conftest import Author

pytestmark = pytest.mark.usefixtures("app")


def stored(**values: Any) -> list[FailedTask]:
    return db.read(
        lambda session: dead_letters.newest(session, after=values.get("after"), limit=values.get("limit", 20))
    )


def fail(name: str = "process_new_article", task_id: str = "one", args: Any = (7,), kwargs: Any = None) -> None:
    dead_letters.record(dead_letters.write(name, task_id, args, kwargs or {}, RuntimeError("broken"), "request-1"))


def crash(*_: Any, **__: Any) -> Any:
    raise RuntimeError("crash at redis://app:hunter2@store1:6380/0")


def database_down(*_: Any, **__: Any) -> Any:
    raise OperationalError("INSERT INTO article VALUES ('private text')", {}, Exception("no connection"))


def store_down(*_: Any, **__: Any) -> Any:
    raise StoreUnavailableError("down")


def test_an_unexpected_error_leaves_one_dead_letter(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(articles, "process", crash)
    response = author.client.post(
        "/api/v1/articles", json={"title": "A", "content": "B"}, headers={**author.headers, "X-Request-Id": "request-9"}
    )
    assert response.status_code == 201, "the article was not created"
    (dead_letter,) = stored()
    assert (dead_letter.task, dead_letter.arguments) == ("process_new_article", [1])
    assert dead_letter.error == "RuntimeError: crash at redis://app:[hidden]@store1:6380/0"
    assert dead_letter.requeued_at is None


def test_a_task_that_used_up_its_retries_leaves_a_dead_letter(
    app: Flask, publish: Callable[..., Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    celery: Celery = app.extensions["celery"]
    celery.conf.task_always_eager = False
    article = publish()
    monkeypatch.setattr(tasks.process_new_article, "retry_backoff", False)
    monkeypatch.setattr(articles, "process", database_down)
    with start_worker(celery, perform_ping_check=False, pool="solo", loglevel="CRITICAL"):
        tasks.process_new_article.apply_async(
            (article.id,), task_id="attempts", retries=tasks.process_new_article.max_retries
        )
        deadline = time.monotonic() + 10
        while not stored() and time.monotonic() < deadline:
            time.sleep(0.02)
    (dead_letter,) = stored()
    assert (dead_letter.task_id, dead_letter.arguments) == ("attempts", [article.id])
    assert dead_letter.error == "OperationalError: no connection", "the error contains the statement with its values"


def test_wrong_arguments_leave_a_dead_letter() -> None:
    tasks.process_new_article.apply(("a", "b", "c"))
    (dead_letter,) = stored()
    assert dead_letter.arguments == ["a", "b", "c"]
    assert dead_letter.error.startswith("TypeError: ")


def test_periodic_tasks_leave_no_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.news.view_counts.flush", crash)
    tasks.flush_views.apply_async()
    assert stored() == []


@pytest.mark.parametrize("error", [RelayError("down"), DeferredError("the relay answers 450")])
def test_an_email_that_the_outbox_sends_later_leaves_no_dead_letter(error: Exception) -> None:
    signals.task_failure.send(
        send_email, task_id="one", exception=error, args=[1], kwargs={}, traceback=None, einfo=None
    )
    assert stored() == []


def test_a_failure_seen_by_the_main_process_goes_through_the_store() -> None:
    for _ in range(2):
        signals.task_failure.send(
            sender=tasks.process_new_article,
            task_id="killed",
            exception=TimeLimitExceeded(120),
            args=[7],
            kwargs={},
            einfo=None,
        )
    assert stored() == [], "the main process used the database"
    collect_dead_letters()
    collect_dead_letters()
    (dead_letter,) = stored()
    assert (dead_letter.task_id, dead_letter.arguments) == ("killed", [7])
    assert dead_letter.error == "TimeLimitExceeded(120,)"


def test_an_unknown_task_leaves_a_dead_letter(app: Flask) -> None:
    message = Mock(headers={"request_id": "request-1"}, payload=([1, 2], {"x": 3}, {}))
    signals.task_unknown.send(
        sender=Mock(app=app.extensions["celery"]),
        message=message,
        exc=KeyError("no"),
        name="from_the_future",
        id="unknown-1",
    )
    collect_dead_letters()
    (dead_letter,) = stored()
    assert (dead_letter.task, dead_letter.arguments, dead_letter.request_id) == (
        "from_the_future",
        [1, 2, {"x": 3}],
        "request-1",
    )
    with pytest.raises(DeadLetterError, match="has no task from_the_future"):
        dead_letters.requeue(dead_letter.id)
    assert stored()[0].requeued_at is None


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_dead_letters_wait_in_the_store_while_the_database_is_down(
    app: Flask, redis: FakeRedis, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.extensions["store"] = MemoryStore() if kind == "memory" else RedisStore(redis)
    with monkeypatch.context() as broken:
        broken.setattr("app.database.engine.Database.write", database_down)
        fail()
        with pytest.raises(OperationalError):
            dead_letters.collect()
    assert stored() == []
    assert dead_letters.collect() == 1
    assert dead_letters.collect() == 0
    assert [(dead_letter.task_id, dead_letter.request_id) for dead_letter in stored()] == [("one", "request-1")]


def test_a_dead_letter_is_logged_if_database_and_store_are_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.database.engine.Database.write", database_down)
    monkeypatch.setattr("app.redis.store.MemoryStore.keep_dead_letter", store_down)
    fail(task_id="task-17")
    assert "dead letter lost" in caplog.text
    assert "task-17" in caplog.text


def test_a_malformed_dead_letter_does_not_block_others() -> None:
    store.keep_dead_letter(b"malformed")
    dead_letters.deposit(dead_letters.write("process_new_article", "fine", [7], {}, RuntimeError("broken")))
    dead_letters.collect()
    assert [dead_letter.task_id for dead_letter in stored()] == ["fine"]
    assert store.dead_letters(10) == []


def test_a_dead_letter_is_requeued_only_once(publish: Callable[..., Article]) -> None:
    article = publish()
    fail(args=(article.id,))
    (dead_letter,) = stored()
    assert dead_letters.requeue(dead_letter.id) is True
    assert db.read(lambda session: session.get_one(Article, article.id)).processed_at is not None
    assert stored()[0].requeued_at is not None
    assert dead_letters.requeue(dead_letter.id) is False
    assert dead_letters.requeue(999) is False
    assert db.read(dead_letters.waiting) == 0


def test_requeue_sends_keyword_arguments_too(publish: Callable[..., Article]) -> None:
    article = publish()
    fail(args=(), kwargs={"article_id": article.id})
    (dead_letter,) = stored()
    assert dead_letters.requeue(dead_letter.id)
    assert db.read(lambda session: session.get_one(Article, article.id)).processed_at is not None


def test_a_dead_letter_stays_if_the_broker_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    fail()
    (dead_letter,) = stored()
    monkeypatch.setattr("app.jobs.celery_app.send", lambda *_: False)
    with pytest.raises(DeadLetterError, match="does not answer"):
        dead_letters.requeue(dead_letter.id)
    assert stored()[0].requeued_at is None


def test_a_dead_letter_can_be_discarded() -> None:
    fail()
    (dead_letter,) = stored()
    assert dead_letters.discard(dead_letter.id) is True
    assert dead_letters.discard(dead_letter.id) is False
    assert stored() == []


def test_dead_letters_are_paged_newest_first() -> None:
    for number in range(5):
        fail(task_id=str(number))
    first = stored(limit=2)
    assert [dead_letter.task_id for dead_letter in first] == ["4", "3"]
    assert [dead_letter.task_id for dead_letter in stored(limit=2, after=first[-1].id)] == ["2", "1"]


@pytest.mark.parametrize("value", ["x\0y", "\ud800", "x" * 100_000, {"deep": ["\0"]}])
def test_any_argument_and_error_can_be_stored(value: Any) -> None:
    dead_letter = dead_letters.write("n\0" * 200, "i" * 200, [value], {}, RuntimeError(f"{value}"))
    dead_letters.record(dead_letter)
    (kept,) = stored()
    text = f"{kept.task}{kept.arguments}{kept.error}"
    assert len(text) < 7000
    text.encode()
    assert "\0" not in text
    assert "u0000" not in text


def test_an_article_that_cannot_be_processed_leaves_one_dead_letter_and_blocks_no_other(
    publish: Callable[..., Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, good = publish("poison"), publish("good")
    process = articles.process
    monkeypatch.setattr(
        articles, "process", lambda session, key: crash() if key == poison.id else process(session, key)
    )
    monkeypatch.setattr(retry, "LOST_AFTER", now() - now())
    for _ in range(2):
        tasks.process_forgotten_articles()
    assert [dead_letter.arguments for dead_letter in stored()] == [[poison.id]]
    assert db.read(lambda session: session.get_one(Article, good.id)).processed_at is not None


def test_a_metric_counts_waiting_dead_letters(app: Flask, redis: FakeRedis) -> None:
    app.extensions["store"] = RedisStore(redis)
    for task_id in ("a", "b"):
        fail(task_id=task_id)
    dead_letters.collect()
    found = {metric.name: metric.samples[0].value for metric in QueueCollector(app.extensions["store"]).collect()}
    assert found["celery_dead_letters"] == 2
    redis.rpush(DEAD_LETTERS, b"x")
    assert len(store.dead_letters(5)) == 1


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("sentinel://app:s3cret@redis1:26379/0 refused", "s3cret"),
        ("GET /auth/reset/abc.def-123 failed", "abc.def-123"),
        ("GET /auth/confirm?token=abcdef&x=1", "abcdef"),
        ("{'password': 'hunter2', 'a': 1}", "hunter2"),
        ("Authorization: Bearer 9f8e.7d6c", "9f8e.7d6c"),
        ('DSN: "host=db1 password=hunter2 port=1"', "hunter2"),
    ],
)
def test_secrets_are_hidden(text: str, secret: str) -> None:
    assert secret not in redact(text)
    assert "[hidden]" in redact(text)


def test_ordinary_text_is_not_redacted() -> None:
    text = (
        "connection to server at db1 (10.0.0.1), port 5432 failed: FATAL: password authentication failed for user app"
    )
    assert redact(text) == text
    assert describe(ValueError()) == "ValueError"
    assert describe(IntegrityError("INSERT 'x'", {}, Exception("duplicate"))) == "IntegrityError: duplicate"
