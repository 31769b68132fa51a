from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.accounts import users
from app.database.models import Article, User, now
from app.extensions import db, store
from app.news import view_counts
from app.web.paging import Position
from tests.unit.app.conftest import Author, body, cookies

Publish = Callable[..., Article]


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


def test_a_page_token_can_be_decoded() -> None:
    position = Position(now(), 17)
    assert Position.from_token(position.token) == position


def test_an_article_has_its_content(client: FlaskClient, publish: Publish) -> None:
    article = publish("Found")
    stored = body(client.get(f"/api/v1/articles/{article.id}"))
    assert (stored["title"], stored["content"], stored["author"]["name"]) == ("Found", "Some content.", "Ada Marsh")


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
    response = author.post(
        title="Storm over the harbour", content="The storm came at noon. Boats stayed in the harbour. Nobody was hurt."
    )
    assert response.status_code == 201
    stored = body(client.get(response.headers["Location"]))
    assert stored["title"] == "Storm over the harbour"
    assert "harbour" in stored["keywords"]
    assert stored["summary"]
    assert titles(client) == ["Storm over the harbour"]


def test_writing_without_a_key_is_401(client: FlaskClient) -> None:
    response = client.post("/api/v1/articles", json={"title": "x", "content": "y"})
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert response.content_type == "application/problem+json"


@pytest.mark.parametrize("key", ["nonsense", "abcdefabcdef.secret", ".", "a" * 5000, "\u00e9.x"])
def test_a_wrong_key_is_401(client: FlaskClient, key: str) -> None:
    response = client.post(
        "/api/v1/articles", json={"title": "x", "content": "y"}, headers={"Authorization": f"Bearer {key}"}
    )
    assert response.status_code == 401


def test_a_wrong_secret_with_the_right_prefix_is_401(author: Author) -> None:
    author.headers["Authorization"] = author.headers["Authorization"][:-1] + "_"
    assert author.post().status_code == 401


def test_a_key_without_the_scope_is_403(author: Author, user: User) -> None:
    _, key = db.write(lambda session: users.create_key(session, user=user, name="reads", scopes=[]))
    author.headers["Authorization"] = f"Bearer {key}"
    response = author.post()
    assert response.status_code == 403
    assert "articles:write" in body(response)["detail"]


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


def test_a_session_cookie_does_not_authenticate_the_api(reader: FlaskClient) -> None:
    assert reader.post("/api/v1/articles", json={"title": "x", "content": "y"}).status_code == 401


def test_the_document_describes_the_responses(client: FlaskClient) -> None:
    document = body(client.get("/api/v1/openapi.json"))
    assert document["openapi"] == "3.1.0"
    post = document["paths"]["/api/v1/articles"]["post"]
    assert {"201", "401", "403", "422"} <= set(post["responses"])
    assert list(document["components"]["responses"]["UNPROCESSABLE_ENTITY"]["content"]) == ["application/problem+json"]
    assert document["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
