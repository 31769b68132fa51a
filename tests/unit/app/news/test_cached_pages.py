"""Cached pages and lists."""

from flask.testing import FlaskClient

from app.extensions import cache
from app.redis.cache import Cache
from tests.unit.app.conftest import Author, queries


def outcome(client: FlaskClient, path: str) -> str:
    return client.get(path).headers["X-Cache"]


def test_junk_parameters_do_not_add_cache_entries(client: FlaskClient) -> None:
    assert outcome(client, "/?utm_source=junk") == "miss"
    assert outcome(client, "/?utm_source=other") == "hit"
    assert outcome(client, "/api/v1/articles") == "hit"
    assert outcome(client, "/api/v1/articles?limit=020") == "hit"
    assert client.get("/api/v1/articles?utm_source=junk").status_code == 422


def test_a_write_is_visible_on_every_page_at_once(client: FlaskClient, author: Author) -> None:
    paths = ("/api/v1/articles", "/api/v1/articles?limit=5", "/")
    assert not any("Breaking" in client.get(path).text for path in paths)
    author.post(title="Breaking")
    assert all("Breaking" in client.get(path).text for path in paths)


def test_the_number_of_queries_does_not_depend_on_the_page_size(client: FlaskClient, author: Author) -> None:
    for number in range(10):
        author.post(title=str(number))
    for limit in (1, 10):
        with queries() as seen:
            client.get(f"/api/v1/articles?limit={limit}")
        assert len(seen) == 1, limit


def test_a_write_is_visible_in_another_process(client: FlaskClient, author: Author) -> None:
    """The generation is in the shared backend and not in the process."""
    client.get("/api/v1/articles")
    Cache(cache.backend, recent_seconds=1).invalidate("lists")
    assert outcome(client, "/api/v1/articles") == "miss"
    assert author.client.get("/api/v1/articles").headers["X-Cache"] == "hit"
