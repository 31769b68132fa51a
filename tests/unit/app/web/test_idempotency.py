import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from app.database.models import IdempotentRequest, User, now
from app.extensions import db
from app.news import articles
from app.web import idempotency, tasks
from tests.unit.app.conftest import Author, add_user, body, key_of

KEY = "6f1b3c1e-7a43-4f0e-9a0e-2f6f0c1f7a55"


def post(author: Author, key: str = KEY, **article: Any) -> TestResponse:
    return author.post({"Idempotency-Key": key}, **article)


def test_a_repeated_request_gets_the_same_answer_and_one_article(author: Author) -> None:
    first, second = post(author), post(author)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.data == second.data
    for header in ("Location", "ETag"):
        assert first.headers[header] == second.headers[header]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert db.read(articles.count) == 1
    assert body(author.client.get(second.headers["Location"]))["title"] == "A title"


def test_the_order_of_fields_does_not_matter(author: Author) -> None:
    headers = author.headers | {"Idempotency-Key": KEY, "Content-Type": "application/json"}
    for article in ('{"title": "A", "content": "B"}', '{"content": "B", "title": "A"}'):
        answer = author.client.post("/api/v1/articles", data=article, headers=headers)
    assert answer.headers["Idempotency-Replayed"] == "true"


def test_a_key_cannot_be_used_for_another_request(author: Author) -> None:
    post(author)
    response = post(author, title="Another")
    assert (response.status_code, response.content_type) == (422, "application/problem+json")
    (error,) = body(response)["errors"]
    assert (error["location"], error["field"]) == ("headers", "Idempotency-Key")
    assert db.read(articles.count) == 1


def test_two_users_can_use_the_same_key(app: Flask, author: Author) -> None:
    post(author)
    other = replace(author, headers=key_of(add_user(app, "bo@news.example")))
    assert "Idempotency-Replayed" not in post(other, title="Mine").headers
    assert db.read(articles.count) == 2


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "caf\u00e9"])
def test_an_invalid_key_is_named_in_the_error(author: Author, key: str) -> None:
    response = post(author, key)
    assert response.status_code == 422
    assert [error["field"] for error in body(response)["errors"]] == ["Idempotency-Key"]
    assert db.read(articles.count) == 0


def test_a_refused_request_is_not_stored(author: Author) -> None:
    assert post(author, title="").status_code == 422
    assert post(author).status_code == 201


def test_a_key_expires_after_a_day(author: Author) -> None:
    post(author)
    yesterday = update(IdempotentRequest).values(created_at=now() - timedelta(hours=25))
    db.write(lambda session: session.execute(yesterday))
    assert "Idempotency-Replayed" not in post(author, title="Another").headers
    assert db.read(articles.count) == 2


@pytest.mark.usefixtures("app")
def test_old_keys_are_deleted() -> None:
    requests = [
        IdempotentRequest(id=name, request_hash="", status=201, body="", created_at=now() - timedelta(hours=age))
        for name, age in (("old", 25), ("young", 23))
    ]
    db.write(lambda session: session.add_all(requests))
    tasks.forget_idempotent_requests()
    assert db.read(lambda session: session.scalars(select(IdempotentRequest.id)).all()) == ["young"]


def test_a_failed_request_does_not_use_up_the_key(user: User) -> None:
    with pytest.raises(RuntimeError):
        idempotency.once(user.id, KEY, {}, Mock(side_effect=RuntimeError("crash")))
    answer = idempotency.once(user.id, KEY, {}, lambda _session: idempotency.Answer(201, "/x", "{}"))
    assert not answer.replayed


def test_only_one_of_concurrent_duplicates_does_the_work(app: Flask, author: Author) -> None:
    ready = threading.Barrier(6)

    def send(_: int) -> TestResponse:
        client = app.test_client(use_cookies=False)
        ready.wait()
        return post(Author(client, author.headers))

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert [answer.status_code for answer in answers] == [201] * 6
    assert len({answer.data for answer in answers}) == 1
    assert sorted("Idempotency-Replayed" in answer.headers for answer in answers) == [False] + [True] * 5
    assert db.read(articles.count) == 1
