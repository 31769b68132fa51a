from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.accounts import users
from app.accounts.users import ARTICLES_DELETE, ARTICLES_WRITE
from app.database.models import User, now
from app.extensions import db, store
from app.news import articles, view_counts
from tests.unit.app.conftest import Author, Publish, body, cookies, key_of


def titles(client: FlaskClient, **query: Any) -> list[str]:
    return [article["title"] for article in body(client.get("/api/v1/articles", query_string=query))["articles"]]


def test_pages_contain_every_article_once_newest_first(client: FlaskClient, publish: Publish) -> None:
    start = now()
    # Several articles have the same time, also across the end of a page.
    for number in range(7):
        publish(f"{number}", published_at=start + timedelta(minutes=number // 3))
    seen, after = [], None
    for _ in range(3):
        page = body(client.get("/api/v1/articles", query_string={"limit": 3} | ({"after": after} if after else {})))
        seen += [article["title"] for article in page["articles"]]
        after = page["next"]
    assert seen == ["6", "5", "4", "3", "2", "1", "0"]
    assert after is None


def test_a_new_article_does_not_shift_the_next_page(client: FlaskClient, author: Author, publish: Publish) -> None:
    for number in range(4):
        publish(f"{number}")
    first = body(client.get("/api/v1/articles?limit=2"))
    assert author.post(title="new").status_code == 201
    assert titles(client, limit=2, after=first["next"]) == ["1", "0"]
    assert titles(client, limit=2) == ["new", "3"]


@pytest.mark.parametrize(
    "path", ["/api/v1/articles/999", "/api/v1/articles/0", "/api/v1/articles/99999999999999999999", "/api/v1/nothing"]
)
def test_a_missing_resource_is_a_404_problem(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.content_type) == (404, "application/problem+json")
    assert body(response)["status"] == 404
    assert body(response)["request_id"] == response.headers["X-Request-Id"]


def test_popular_articles_are_ordered_by_views(client: FlaskClient, publish: Publish) -> None:
    for title, views in (("few", 1), ("many", 30), ("some", 7)):
        article = publish(title)
        for _ in range(views):
            store.count_view(article.id)
    view_counts.flush()
    found = body(client.get("/api/v1/articles/popular?limit=2"))["articles"]
    assert [article["title"] for article in found] == ["many", "some"]


def test_a_new_article_is_stored_listed_and_processed(client: FlaskClient, author: Author) -> None:
    content = "The storm came at noon. Boats stayed in the harbour. Nobody was hurt."
    response = author.post(title="Storm over the harbour", content=content)
    assert response.status_code == 201
    stored = body(client.get(response.headers["Location"]))
    assert (stored["title"], stored["content"]) == ("Storm over the harbour", content)
    assert stored["author"]["name"] == "Ada Marsh"
    assert "harbour" in stored["keywords"]
    assert stored["summary"]
    assert titles(client) == ["Storm over the harbour"]


@pytest.mark.parametrize("key", ["", "nonsense", "abcdefabcdef.secret", ".", "a" * 5000, "\u00e9.x"])
def test_a_session_without_a_valid_key_is_401(reader: FlaskClient, key: str) -> None:
    response = Author(reader, {"Authorization": f"Bearer {key}"} if key else {}).post()
    assert (response.status_code, response.content_type) == (401, "application/problem+json")
    assert response.headers["WWW-Authenticate"] == ('Bearer error="invalid_token"' if key else "Bearer")


def test_a_wrong_secret_with_the_right_prefix_is_401(author: Author) -> None:
    author.headers["Authorization"] = author.headers["Authorization"][:-1] + "_"
    assert author.post().status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "scope", "missing"),
    [
        ("POST", "/api/v1/articles", ARTICLES_DELETE, ARTICLES_WRITE),
        ("DELETE", "/api/v1/articles/1", ARTICLES_WRITE, ARTICLES_DELETE),
    ],
)
def test_a_key_without_the_scope_is_403(
    client: FlaskClient, publish: Publish, user: User, method: str, path: str, scope: str, missing: str
) -> None:
    publish()
    response = client.open(path, method=method, json={"title": "x", "content": "y"}, headers=key_of(user, scope))
    assert response.status_code == 403
    assert missing in body(response)["detail"]
    assert db.read(articles.count) == 1


def test_a_revoked_key_is_401(author: Author) -> None:
    prefix = author.headers["Authorization"].removeprefix("Bearer ").partition(".")[0]
    assert db.write(lambda session: users.revoke_key(session, prefix))
    assert author.post().status_code == 401


def test_the_secret_of_a_key_is_not_in_the_database(author: Author) -> None:
    secret = author.headers["Authorization"].partition(".")[2]
    rows = db.read(lambda session: session.connection().exec_driver_sql("SELECT * FROM api_key").all())
    assert secret not in str(rows)


def test_the_api_sets_no_cookies(reader: FlaskClient, author: Author, publish: Publish) -> None:
    article = publish()
    paths = (
        "/api/v1/articles",
        f"/api/v1/articles/{article.id}",
        "/api/v1/articles/popular",
        "/api/v1/nothing",
        "/api/v1/openapi.json",
        "/api/v1/docs",
    )
    responses = [reader.get(path) for path in paths] + [author.post(), reader.post("/api/v1/articles", json={})]
    for response in responses:
        assert cookies(response) == [], response.request.path
        assert "Cookie" not in response.headers.get("Vary", ""), response.request.path
