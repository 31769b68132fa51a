from typing import Any

import pytest
from fakeredis import FakeRedis
from flask import Flask
from flask.testing import FlaskClient
from redis.client import Pipeline

from app.extensions import cache
from app.redis.cache_backends import RedisBackend
from app.web.limits import client_address
from tests.unit.app.conftest import Author, body


@pytest.fixture
def settings() -> dict[str, Any]:
    return {"API_RATE_LIMIT": "3 per minute"}


def test_a_key_is_limited(author: Author) -> None:
    answers = [author.post() for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"3"}
    assert all(0 < int(answer.headers["RateLimit-Reset"]) <= 60 for answer in answers)
    assert "Retry-After" not in answers[0].headers
    refused = answers[-1]
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert (refused.content_type, body(refused)["status"]) == ("application/problem+json", 429)


def test_unknown_keys_count_for_their_address_and_not_for_valid_keys(author: Author) -> None:
    keys = [f"Bearer {number:012x}.secret" for number in range(4)]
    answers = [author.client.get("/api/v1/articles", headers={"Authorization": key}) for key in keys]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert author.post().status_code == 201


def test_anonymous_reads_are_not_counted(client: FlaskClient) -> None:
    for _ in range(5):
        response = client.get("/api/v1/articles")
    assert response.status_code == 200
    assert "RateLimit-Limit" not in response.headers


@pytest.fixture
def round_trips(monkeypatch: pytest.MonkeyPatch) -> list[Pipeline]:
    """The pipelines that were sent to Redis."""
    sent: list[Pipeline] = []
    execute = Pipeline.execute

    def record(pipeline: Pipeline, *args: Any) -> Any:
        sent.append(pipeline)
        return execute(pipeline, *args)

    monkeypatch.setattr(Pipeline, "execute", record)
    return sent


def test_without_the_cache_nobody_is_refused(
    app: Flask, author: Author, dead_redis: FakeRedis, round_trips: list[Pipeline]
) -> None:
    app.extensions["cache"].backend = RedisBackend(dead_redis)
    answers = [author.post() for _ in range(5)]
    assert {answer.status_code for answer in answers} == {201}
    assert "RateLimit-Limit" not in answers[0].headers
    assert len(round_trips) == 1, "a dead cache must be used only once a second"


def test_a_redis_counter_costs_one_round_trip_and_expires(redis: FakeRedis, round_trips: list[Pipeline]) -> None:
    backend = RedisBackend(redis)
    windows = [backend.count("somebody", 60, 1) for _ in range(3)]
    assert [window.count for window in windows] == [1, 2, 3]
    assert all(59 < window.seconds_left <= 60 for window in windows)
    assert len(round_trips) == 3


@pytest.mark.usefixtures("app")
def test_a_counter_restarts_after_its_window() -> None:
    assert cache.backend.count("somebody", 60, 1).count == 1
    assert cache.backend.count("somebody", 60, 1).count == 2
    assert cache.backend.count("brief", 0, 1).count == 1
    assert cache.backend.count("brief", 0, 1).count == 1


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("", "unknown"),
        ("unix:", "unknown"),
    ],
)
def test_an_ipv6_client_counts_as_its_network(app: Flask, address: str, counted: str) -> None:
    with app.test_request_context(environ_base={"REMOTE_ADDR": address}):
        assert client_address() == counted
