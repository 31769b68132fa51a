from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from billiard.exceptions import TimeLimitExceeded
from celery import Celery, signals
from celery.contrib.testing.worker import start_worker
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
from tests.unit.app.redis.fake_redis import FakeRedis

pytestmark = pytest.mark.usefixtures("app")


def letters(**values: Any) -> list[FailedTask]:
    return db.read(
        lambda session: dead_letters.newest(session, after=values.get("after"), limit=values.get("limit", 20))
    )


def fail(name: str = "process_new_article", task_id: str = "one", args: Any = (7,), kwargs: Any = None) -> None:
    dead_letters.record(dead_letters.write(name, task_id, args, kwargs or {}, RuntimeError("broken"), "request-1"))


def crash(*_: Any, **__: Any) -> Any:
    raise RuntimeError("crash at redis://app:hunter2@store1:6380/0")


def away(*_: Any, **__: Any) -> Any:
    raise OperationalError("INSERT INTO article VALUES ('private text')", {}, Exception("no connection"))


def store_away(*_: Any, **__: Any) -> Any:
    raise StoreUnavailableError("away")


def test_a_task_that_meets_the_unexpected_leaves_one_letter(author: Author, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(articles, "process", crash)
    response = author.client.post(
        "/api/v1/articles", json={"title": "A", "content": "B"}, headers={**author.headers, "X-Request-Id": "request-9"}
    )
    assert response.status_code == 201, "the article is there, whatever became of its task"
    (letter,) = letters()
    assert (letter.task, letter.arguments) == ("process_new_article", [1])
    assert letter.error == "RuntimeError: crash at redis://app:[hidden]@store1:6380/0"
    assert letter.requeued_at is None


def test_a_worker_writes_the_letter_when_all_attempts_have_failed(
    app: Flask, publish: Callable[..., Article], monkeypatch: pytest.MonkeyPatch
) -> None:
    celery: Celery = app.extensions["celery"]
    celery.conf.task_always_eager = False
    article = publish()
    monkeypatch.setattr(tasks.process_new_article, "retry_backoff", False)
    monkeypatch.setattr(articles, "process", away)
    with start_worker(celery, perform_ping_check=False, pool="solo", loglevel="CRITICAL"):
        tasks.process_new_article.apply_async(
            (article.id,), task_id="attempts", retries=tasks.process_new_article.max_retries
        )
        deadline = time.monotonic() + 10
        while not letters() and time.monotonic() < deadline:
            time.sleep(0.02)
    (letter,) = letters()
    assert (letter.task_id, letter.arguments) == ("attempts", [article.id])
    assert letter.error == "OperationalError: no connection", "never the statement with its values"


def test_arguments_that_do_not_fit_end_as_a_letter() -> None:
    tasks.process_new_article.apply(("a", "b", "c"))
    (letter,) = letters()
    assert letter.arguments == ["a", "b", "c"]
    assert letter.error.startswith("TypeError: ")


def test_periodic_tasks_leave_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.news.view_counts.flush", crash)
    tasks.flush_views.apply_async()
    assert letters() == []


@pytest.mark.parametrize("error", [RelayError("away"), DeferredError("the relay answers 450")])
def test_what_the_sweep_of_the_outbox_sees_to_leaves_none(error: Exception) -> None:
    signals.task_failure.send(
        send_email, task_id="one", exception=error, args=[1], kwargs={}, traceback=None, einfo=None
    )
    assert letters() == []


def test_what_only_the_main_process_sees_goes_through_the_store() -> None:
    for _ in range(2):
        signals.task_failure.send(
            sender=tasks.process_new_article,
            task_id="killed",
            exception=TimeLimitExceeded(120),
            args=[7],
            kwargs={},
            einfo=None,
        )
    assert letters() == [], "the main process waits for no database"
    collect_dead_letters()
    collect_dead_letters()
    (letter,) = letters()
    assert (letter.task_id, letter.arguments) == ("killed", [7])
    assert letter.error == "TimeLimitExceeded(120,)"


def test_an_unknown_task_leaves_a_letter(app: Flask) -> None:
    class Consumer:
        app: Any

    class Message:
        headers: dict[str, str] = {"request_id": "request-1"}  # noqa: RUF012
        payload: Any = ([1, 2], {"x": 3}, {})

    consumer = Consumer()
    consumer.app = app.extensions["celery"]
    signals.task_unknown.send(
        sender=consumer, message=Message(), exc=KeyError("no"), name="from_the_future", id="unknown-1"
    )
    collect_dead_letters()
    (letter,) = letters()
    assert (letter.task, letter.arguments, letter.request_id) == ("from_the_future", [1, 2, {"x": 3}], "request-1")
    with pytest.raises(DeadLetterError, match="knows no task from_the_future"):
        dead_letters.requeue(letter.id)
    assert letters()[0].requeued_at is None


@pytest.mark.parametrize("kind", ["memory", "redis"])
def test_while_the_database_is_away_letters_wait_in_the_store(
    app: Flask, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.extensions["store"] = MemoryStore() if kind == "memory" else RedisStore(FakeRedis())  # type: ignore[arg-type]
    with monkeypatch.context() as broken:
        broken.setattr("app.database.engine.Database.write", away)
        fail()
        with pytest.raises(OperationalError):
            dead_letters.collect()
    assert letters() == []
    assert dead_letters.collect() == 1
    assert dead_letters.collect() == 0
    assert [(letter.task_id, letter.request_id) for letter in letters()] == [("one", "request-1")]


def test_nothing_fails_where_nothing_answers(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("app.database.engine.Database.write", away)
    monkeypatch.setattr("app.redis.store.MemoryStore.keep_dead_letter", store_away)
    fail(task_id="lost")
    assert "dead letter lost" in caplog.text
    assert "lost" in caplog.text


def test_a_letter_that_no_database_takes_blocks_no_other() -> None:
    store.keep_dead_letter(b"not a letter")
    dead_letters.deposit(dead_letters.write("process_new_article", "fine", [7], {}, RuntimeError("broken")))
    dead_letters.collect()
    assert [letter.task_id for letter in letters()] == ["fine"]
    assert store.dead_letters(10) == []


def test_a_letter_is_sent_again_once(publish: Callable[..., Article]) -> None:
    article = publish()
    fail(args=(article.id,))
    (letter,) = letters()
    assert dead_letters.requeue(letter.id) is True
    assert db.read(lambda session: session.get_one(Article, article.id)).processed_at is not None
    assert letters()[0].requeued_at is not None
    assert dead_letters.requeue(letter.id) is False
    assert dead_letters.requeue(999) is False
    assert db.read(dead_letters.waiting) == 0


def test_keyword_arguments_are_sent_again_too(publish: Callable[..., Article]) -> None:
    article = publish()
    fail(args=(), kwargs={"article_id": article.id})
    (letter,) = letters()
    assert dead_letters.requeue(letter.id)
    assert db.read(lambda session: session.get_one(Article, article.id)).processed_at is not None


def test_a_letter_that_no_broker_takes_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    fail()
    (letter,) = letters()
    monkeypatch.setattr("app.jobs.celery_app.send", lambda *_: False)
    with pytest.raises(DeadLetterError, match="does not answer"):
        dead_letters.requeue(letter.id)
    assert letters()[0].requeued_at is None


def test_a_letter_can_be_discarded() -> None:
    fail()
    (letter,) = letters()
    assert dead_letters.discard(letter.id) is True
    assert dead_letters.discard(letter.id) is False
    assert letters() == []


def test_the_newest_come_first_and_in_pages() -> None:
    for number in range(5):
        fail(task_id=str(number))
    first = letters(limit=2)
    assert [letter.task_id for letter in first] == ["4", "3"]
    assert [letter.task_id for letter in letters(limit=2, after=first[-1].id)] == ["2", "1"]


@pytest.mark.parametrize("value", ["x\0y", "\ud800", "x" * 100_000, {"deep": ["\0"]}])
def test_any_argument_and_error_can_be_stored(value: Any) -> None:
    letter = dead_letters.write("n\0" * 200, "i" * 200, [value], {}, RuntimeError(f"{value}"))
    dead_letters.record(letter)
    (kept,) = letters()
    stored = f"{kept.task}{kept.arguments}{kept.error}"
    assert len(stored) < 7000
    stored.encode()
    assert "\0" not in stored
    assert "u0000" not in stored


def test_an_article_that_cannot_be_processed_stops_no_other_and_leaves_one_letter(
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
    assert [letter.arguments for letter in letters()] == [[poison.id]]
    assert db.read(lambda session: session.get_one(Article, good.id)).processed_at is not None


def test_prometheus_sees_how_many_wait(app: Flask) -> None:
    redis = FakeRedis()
    app.extensions["store"] = RedisStore(redis)  # type: ignore[arg-type]
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


def test_ordinary_text_is_left_alone() -> None:
    text = (
        "connection to server at db1 (10.0.0.1), port 5432 failed: FATAL: password authentication failed for user app"
    )
    assert redact(text) == text
    assert describe(ValueError()) == "ValueError"
    assert describe(IntegrityError("INSERT 'x'", {}, Exception("duplicate"))) == "IntegrityError: duplicate"
