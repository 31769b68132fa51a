from typing import Any
from unittest.mock import Mock

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import signals
from celery.exceptions import SoftTimeLimitExceeded
from fakeredis import FakeRedis
from flask import Flask
from sqlalchemy.exc import IntegrityError, OperationalError

from app.database.models import Article, FailedTask, now
from app.extensions import db, store
from app.jobs import dead_letters, retry
from app.jobs.dead_letters import DeadLetterError
from app.jobs.worker_metrics import QueueCollector
from app.logs.redaction import describe, redact
from app.mail.relay import DeferredError, RelayError
from app.mail.tasks import send_email
from app.news import articles, tasks
from app.redis.store import DEAD_LETTERS, RedisStore, StoreUnavailableError
from tests.support.live.fleet import eventually
from tests.unit.app.conftest import Author, Publish, stored

pytestmark = pytest.mark.usefixtures("app")


crash = Mock(side_effect=RuntimeError("crash at redis://app:hunter2@store1:6380/0"))
database_down = Mock(
    side_effect=OperationalError("INSERT INTO article VALUES ('private text')", {}, Exception("no connection"))
)


def kept() -> list[FailedTask]:
    return db.read(lambda session: dead_letters.newest(session, after=None, limit=20))


def fail(task_id: str = "one", args: Any = (7,), kwargs: Any = None) -> None:
    error = RuntimeError("broken")
    dead_letters.record(dead_letters.write("process_new_article", task_id, args, kwargs or {}, error, "request-1"))


def test_an_unexpected_error_leaves_one_dead_letter(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(articles, "process", crash)
    assert author.post().status_code == 201, "the article was not created"
    (dead_letter,) = kept()
    assert (dead_letter.task, dead_letter.arguments) == ("process_new_article", [1])
    assert dead_letter.error == "RuntimeError: crash at redis://app:[hidden]@store1:6380/0"
    assert dead_letter.requeued_at is None


@pytest.mark.usefixtures("worker")
def test_a_task_that_used_up_its_retries_leaves_a_dead_letter(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = publish()
    task = tasks.process_new_article
    monkeypatch.setattr(task, "retry_backoff", False)
    monkeypatch.setattr(articles, "process", database_down)
    task.apply_async((article.id,), task_id="attempts", retries=task.max_retries)
    (dead_letter,) = eventually(kept)
    assert (dead_letter.task_id, dead_letter.arguments) == ("attempts", [article.id])
    assert dead_letter.error == "OperationalError: no connection", "the error contains the statement with its values"


def test_wrong_arguments_leave_a_dead_letter() -> None:
    tasks.process_new_article.apply(("a", "b", "c"))
    (dead_letter,) = kept()
    assert dead_letter.arguments == ["a", "b", "c"]
    assert dead_letter.error.startswith("TypeError: ")


def test_periodic_tasks_leave_no_dead_letter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.news.view_counts.flush", crash)
    tasks.flush_views.apply_async()
    assert kept() == []


@pytest.mark.parametrize("error", [RelayError("down"), DeferredError("the relay answers 450")])
def test_an_email_that_the_outbox_sends_later_leaves_no_dead_letter(error: Exception) -> None:
    signals.task_failure.send(
        send_email, task_id="one", exception=error, args=[1], kwargs={}, traceback=None, einfo=None
    )
    assert kept() == []


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
    assert kept() == [], "the main process used the database"
    dead_letters.collect()
    dead_letters.collect()
    (dead_letter,) = kept()
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
    dead_letters.collect()
    (dead_letter,) = kept()
    assert (dead_letter.task, dead_letter.arguments, dead_letter.request_id) == (
        "from_the_future",
        [1, 2, {"x": 3}],
        "request-1",
    )
    with pytest.raises(DeadLetterError, match="has no task from_the_future"):
        dead_letters.requeue(dead_letter.id)
    assert kept()[0].requeued_at is None


@pytest.mark.usefixtures("each_store")
def test_dead_letters_wait_in_the_store_while_the_database_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("app.database.engine.Database.write", database_down)
        fail()
        with pytest.raises(OperationalError):
            dead_letters.collect()
    assert kept() == []
    assert dead_letters.collect() == 1
    assert dead_letters.collect() == 0
    assert [(dead_letter.task_id, dead_letter.request_id) for dead_letter in kept()] == [("one", "request-1")]


def test_a_dead_letter_is_logged_if_database_and_store_are_down(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.database.engine.Database.write", database_down)
    monkeypatch.setattr("app.redis.store.MemoryStore.keep_dead_letter", Mock(side_effect=StoreUnavailableError("down")))
    fail(task_id="task-17")
    assert "dead letter lost" in caplog.text
    assert "task-17" in caplog.text


def test_a_malformed_dead_letter_does_not_block_others() -> None:
    store.keep_dead_letter(b"malformed")
    dead_letters.deposit(dead_letters.write("process_new_article", "fine", [7], {}, RuntimeError("broken")))
    dead_letters.collect()
    assert [dead_letter.task_id for dead_letter in kept()] == ["fine"]
    assert store.dead_letters(10) == []


def test_requeue_sends_keyword_arguments_too(publish: Publish) -> None:
    article = publish()
    fail(args=(), kwargs={"article_id": article.id})
    (dead_letter,) = kept()
    assert dead_letters.requeue(dead_letter.id)
    assert stored(Article, article.id).processed_at is not None


def test_a_dead_letter_stays_if_the_broker_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    fail()
    (dead_letter,) = kept()
    monkeypatch.setattr("app.jobs.celery_app.send", lambda *_: False)
    with pytest.raises(DeadLetterError, match="does not answer"):
        dead_letters.requeue(dead_letter.id)
    assert kept()[0].requeued_at is None


@pytest.mark.parametrize("value", ["x\0y", "\ud800", "x" * 100_000, {"deep": ["\0"]}])
def test_any_argument_and_error_can_be_stored(value: Any) -> None:
    dead_letters.record(dead_letters.write("n\0" * 200, "i" * 200, [value], {}, RuntimeError(f"{value}")))
    (dead_letter,) = kept()
    text = f"{dead_letter.task}{dead_letter.arguments}{dead_letter.error}"
    assert len(text) < 7000
    text.encode()
    assert "\0" not in text
    assert "u0000" not in text


def test_an_article_that_cannot_be_processed_leaves_one_dead_letter_and_blocks_no_other(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, good = publish("poison"), publish("good")
    process = articles.process
    monkeypatch.setattr(
        articles, "process", lambda session, key: crash() if key == poison.id else process(session, key)
    )
    monkeypatch.setattr(retry, "LOST_AFTER", now() - now())
    for _ in range(2):
        tasks.process_forgotten_articles()
    assert [dead_letter.arguments for dead_letter in kept()] == [[poison.id]]
    assert stored(Article, good.id).processed_at is not None


def test_a_time_limit_ends_the_periodic_task_and_is_no_failure_of_an_article(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish()
    monkeypatch.setattr(articles, "process", Mock(side_effect=SoftTimeLimitExceeded()))
    monkeypatch.setattr(retry, "LOST_AFTER", now() - now())
    with pytest.raises(SoftTimeLimitExceeded):
        tasks.process_forgotten_articles()
    assert kept() == []


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
        ("https://mail.example/?to=https%3A%2F%2Fnews.example%2FAuth%2Freset%2Fabc.def", "abc.def"),
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
