from typing import Any
from unittest.mock import Mock

import pytest
from fakeredis import FakeRedis
from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy.exc import OperationalError

from app.database.models import Article
from app.extensions import store
from app.news import view_counts
from app.redis.store import BATCH, VIEWS_FLUSHING, VIEWS_PENDING, RedisStore
from tests.unit.app.conftest import Publish, stored

fail = Mock(side_effect=OperationalError("crash", {}, Exception("crash")))


@pytest.fixture
def article(publish: Publish) -> Article:
    return publish()


def views(article: Article) -> int:
    return stored(Article, article.id).views


@pytest.mark.usefixtures("each_store")
def test_views_of_cached_articles_count_too(client: FlaskClient, article: Article) -> None:
    for path in (f"/api/v1/articles/{article.id}", f"/articles/{article.id}"):
        client.get(path)
        assert client.get(path).headers["X-Cache"] == "hit"
    assert views(article) == 0
    assert view_counts.flush() == 4
    assert views(article) == 4
    assert view_counts.flush() == 0


@pytest.mark.usefixtures("each_store")
def test_lists_missing_articles_and_head_requests_do_not_count(client: FlaskClient, article: Article) -> None:
    client.get("/api/v1/articles")
    client.get("/api/v1/articles/999")
    client.head(f"/articles/{article.id}")
    assert view_counts.flush() == 0


@pytest.mark.usefixtures("each_store")
def test_a_crash_before_the_commit_loses_nothing(article: Article, monkeypatch: pytest.MonkeyPatch) -> None:
    store.count_view(article.id)
    with monkeypatch.context() as broken:
        broken.setattr(view_counts, "_add", fail)
        with pytest.raises(OperationalError):
            view_counts.flush()
    store.count_view(article.id)
    # First the interrupted batch, then the newer views.
    assert [view_counts.flush(), view_counts.flush()] == [1, 1]
    assert views(article) == 2


@pytest.mark.usefixtures("each_store")
def test_a_crash_after_the_commit_counts_nothing_twice(article: Article, monkeypatch: pytest.MonkeyPatch) -> None:
    store.count_view(article.id)
    with monkeypatch.context() as broken:
        broken.setattr(store.__class__, "drop_views", fail)
        with pytest.raises(OperationalError):
            view_counts.flush()
    assert views(article) == 1
    assert view_counts.flush() == 0
    assert views(article) == 1
    store.count_view(article.id)
    assert view_counts.flush() == 1
    assert views(article) == 2


@pytest.mark.usefixtures("each_store")
def test_two_concurrent_flushes_count_a_batch_once(article: Article, monkeypatch: pytest.MonkeyPatch) -> None:
    store.count_view(article.id)
    taken = store.take_views()
    with monkeypatch.context() as both:
        both.setattr(store.__class__, "take_views", lambda _: taken)
        assert [view_counts.flush(), view_counts.flush()] == [1, 0]
    assert views(article) == 1
    assert view_counts.flush() == 0


@pytest.mark.parametrize("command", ["renamenx", "exists", "hsetnx", "hgetall"])
def test_another_flush_may_finish_between_two_commands_of_this_one(
    app: Flask, redis: FakeRedis, article: Article, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    app.extensions["store"] = RedisStore(redis)
    store.count_view(article.id)
    original = getattr(Redis, command)

    def flush_first(client: Redis, *arguments: Any) -> Any:
        monkeypatch.undo()
        assert view_counts.flush() == 1
        return original(client, *arguments)

    monkeypatch.setattr(Redis, command, flush_first)
    assert view_counts.flush() == 0
    assert views(article) == 1
    assert redis.keys("views:*") == []


@pytest.mark.usefixtures("each_store")
def test_a_slow_flush_does_not_delete_the_next_batch(article: Article) -> None:
    store.count_view(article.id)
    taken = store.take_views()
    assert taken is not None
    view_counts.flush()
    store.count_view(article.id)
    following = store.take_views()
    store.drop_views(taken[0])
    assert store.take_views() == following


def test_a_crash_before_the_batch_has_an_id_loses_nothing(app: Flask, redis: FakeRedis, article: Article) -> None:
    app.extensions["store"] = RedisStore(redis)
    store.count_view(article.id)
    redis.renamenx(VIEWS_PENDING, VIEWS_FLUSHING)
    assert not redis.hexists(VIEWS_FLUSHING, BATCH)
    assert view_counts.flush() == 1
    assert views(article) == 1


@pytest.mark.usefixtures("each_store")
def test_views_of_a_deleted_article_do_not_block_others(article: Article) -> None:
    store.count_view(article.id + 1)
    store.count_view(article.id)
    view_counts.flush()
    assert views(article) == 1


def test_a_dead_store_does_not_break_a_page(
    app: Flask, client: FlaskClient, dead_redis: FakeRedis, article: Article
) -> None:
    app.extensions["store"] = RedisStore(dead_redis)
    assert client.get(f"/api/v1/articles/{article.id}").status_code == 200
