"""A message that cannot be read is dropped, and the worker gets the next one."""

import json
from queue import Empty
from typing import Any

import pytest
from fakeredis import FakeRedis
from flask import Flask
from kombu import Connection
from kombu.transport import redis as kombu_redis

from app import config, create_app
from app.jobs.celery_app import QUEUE

PROPERTIES = {"delivery_tag": "1", "delivery_info": {"exchange": "", "routing_key": QUEUE}, "body_encoding": "base64"}
ENVELOPE: dict[str, Any] = {
    "body": "W1tdLCB7fSwge31d",
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "headers": {"task": "flush_views", "id": "1"},
    "properties": PROPERTIES,
}
GOOD = json.dumps(ENVELOPE)
WRONG_PROPERTIES: list[Any] = [None, [], "x", {}]
WRONG_PROPERTIES += [PROPERTIES | {"delivery_info": value} for value in (None, "x")]
WRONG_PROPERTIES += [PROPERTIES | {"body_encoding": value} for value in ("rot13", 5)]
WRONG_PARTS: dict[str, list[Any]] = {
    "properties": WRONG_PROPERTIES,
    "headers": [["x"], "x", {"task": ["x"]}],
    "body": ["!", 5, {"a": 1}],
}
UNREADABLE: list[str | bytes] = ["not json", b"\xff\xfe", "5", "null", "[]", "{}", "[" * 100_000]
UNREADABLE += [json.dumps({**ENVELOPE, part: value}) for part, values in WRONG_PARTS.items() for value in values]


@pytest.fixture(params=["redis://127.0.0.1:1/0", "sentinel://127.0.0.1:1/0?master=store"])
def channel(request: pytest.FixtureRequest, app: Flask, redis: FakeRedis, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The worker's channel, with a Redis in memory."""
    monkeypatch.setattr(kombu_redis.Channel, "_create_client", lambda *_, **__: redis)
    url = app.config["DATABASE_URL"]
    celery = create_app(config.Testing(DATABASE_URL=url, STORE_URL=request.param)).extensions["celery"]
    connection: Connection = celery.connection_for_read()
    # kombu does this when the first Sentinel does not answer.
    connection.switch(celery.conf.broker_url)
    return connection.channel()


def read(channel: Any) -> Any:
    """Read the next message as the worker's event loop does."""
    delivered: list[Any] = []
    channel.connection._callbacks = {QUEUE: delivered.append}
    channel.client.connection = channel.client.connection_pool.get_connection()
    channel.client.connection.send_command("BRPOP", QUEUE, 1)
    channel._brpop_read()
    (message,) = delivered
    return message


def test_unreadable_messages_are_dropped(channel: Any, redis: FakeRedis, caplog: pytest.LogCaptureFixture) -> None:
    for message in UNREADABLE:
        redis.lpush(QUEUE, message)
        with pytest.raises(Empty):
            read(channel)
        assert "message dropped" in caplog.text, message
        caplog.clear()
    redis.lpush(QUEUE, GOOD)
    assert channel.Message(read(channel), channel=channel).payload == [[], {}, {}]


def test_every_message_of_the_application_is_readable(channel: Any, redis: FakeRedis) -> None:
    with channel.connection.client.Producer(channel) as producer:
        producer.publish([[], {}, {}], routing_key=QUEUE, headers={"task": "flush_views", "id": "1"})
    assert redis.llen(QUEUE) == 1
    assert read(channel)["headers"]["task"] == "flush_views"
