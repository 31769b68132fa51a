from typing import Any
from unittest.mock import Mock

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.extensions import cache, db, store
from app.news import articles
from app.redis.cache_backends import CacheUnavailableError, RedisBackend
from tests.unit.app.admin.conftest import press
from tests.unit.app.conftest import Publish


def test_after_emptying_the_cache_pages_show_the_database(
    administrator: FlaskClient, client: FlaskClient, publish: Publish, log: list[dict[str, Any]]
) -> None:
    article = publish("Before")
    paths = ("/", f"/articles/{article.id}", "/popular")
    for path in paths:
        client.get(path)
    # Without invalidation.
    db.write(lambda session: articles.change(session, article.id, title="After"))
    assert "Before" in client.get("/").text
    assert press(administrator, "/admin/cache/empty").status_code == 302
    for path in paths:
        assert "After" in client.get(path).text, path
    assert "The cache is empty." in administrator.get("/admin/cache").text
    assert [entry["action"] for entry in log] == ["empty cache"]


def test_the_usage_of_the_cache_is_shown(administrator: FlaskClient, app: Flask) -> None:
    redis = Mock()
    redis.info.return_value = {
        "keyspace_hits": 75,
        "keyspace_misses": 25,
        "evicted_keys": 3,
        "used_memory": 2 * 1024**2,
        "maxmemory": 64 * 1024**2,
        "db0": {"keys": 40, "expires": 40},
        "db1": {"keys": 2},
        "db0_distrib_strings_sizes": {"1": 13, "16": 29},
    }
    assert "never" in administrator.get("/admin/cache").text
    articles.invalidate()
    app.extensions["cache"].backend.usage = RedisBackend(redis).usage
    page = administrator.get("/admin/cache").text
    for part in ("<dd>42</dd>", "<dd>75.0%</dd>", "<dd>2.0 MiB</dd>", "Memory of 64.0 MiB", "<dd>3</dd>", "UTC</time>"):
        assert part in page


def test_the_cache_page_reports_a_dead_cache(administrator: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache.backend, "usage", Mock(side_effect=CacheUnavailableError))
    response = administrator.get("/admin/cache")
    assert response.status_code == 200
    assert "The cache does not answer." in response.text
    assert store.queue_length("default") == 0
