from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.accounts.users import ARTICLES_WRITE
from app.database.models import User
from app.news import articles
from tests.unit.app.conftest import Author, Publish, add_user, body, change, key_of


@pytest.fixture
def editor(author: Author, user: User) -> Author:
    """The author, with a key that has all scopes."""
    return replace(author, headers=key_of(user))


def patch(author: Author, article_id: int, values: dict[str, Any], **headers: str) -> TestResponse:
    return author.client.patch(f"/api/v1/articles/{article_id}", json=values, headers=author.headers | headers)


def test_a_change_is_visible_at_once_and_updates_the_summary(client: FlaskClient, editor: Author) -> None:
    location = editor.post(content="The storm came at noon.").headers["Location"]
    article = body(client.get(location))
    changed = patch(editor, article["id"], {"content": "The regatta was won by nobody."})
    assert changed.status_code == 200
    assert (body(changed)["title"], body(changed)["version"]) == (article["title"], 2)
    seen = body(client.get(location))
    assert seen["content"] == "The regatta was won by nobody."
    assert seen["updated_at"]
    assert "regatta" in seen["keywords"]
    assert "regatta" in seen["summary"]


def test_a_deleted_article_is_not_found_or_listed(client: FlaskClient, editor: Author) -> None:
    location = editor.post().headers["Location"]
    assert client.get(location).status_code == 200
    deleted = editor.client.delete(location, headers=editor.headers)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert client.get(location).status_code == 404
    assert body(client.get("/api/v1/articles"))["articles"] == []
    assert editor.client.delete(location, headers=editor.headers).status_code == 404


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_only_the_author_and_administrators_may_change_an_article(app: Flask, publish: Publish, method: str) -> None:
    path = f"/api/v1/articles/{publish().id}"
    client = app.test_client(use_cookies=False)
    stranger, root = (add_user(app, f"{name}@news.example", is_admin=name == "root") for name in ("stranger", "root"))
    refused = client.open(path, method=method, json={"title": "Mine"}, headers=key_of(stranger))
    assert (refused.status_code, refused.content_type) == (403, "application/problem+json")
    assert body(client.get(path))["title"] == "A title"
    changed = client.open(path, method=method, json={"title": "Ours"}, headers=key_of(root))
    assert changed.status_code in {200, 204}


@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_changes_without_a_key_are_401(client: FlaskClient, publish: Publish, method: str) -> None:
    assert client.open(f"/api/v1/articles/{publish().id}", method=method, json={"title": "x"}).status_code == 401


def test_if_none_match_with_the_current_etag_is_304(client: FlaskClient, editor: Author) -> None:
    location = editor.post().headers["Location"]
    for path in (location, "/api/v1/articles", "/api/v1/articles/popular"):
        first = client.get(path)
        tag = first.headers["ETag"]
        again = client.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag), path
        # A 304 refreshes nginx's copy, so it must allow caching too.
        assert again.headers["Cache-Control"] == first.headers["Cache-Control"]
        assert client.get(path, headers={"If-None-Match": f"W/{tag}"}).status_code == 304
        assert client.get(path, headers={"If-None-Match": '"other"'}).status_code == 200
        assert client.head(path).headers["ETag"] == tag


def test_a_change_changes_all_etags(client: FlaskClient, editor: Author) -> None:
    location = editor.post().headers["Location"]
    paths = (location, "/api/v1/articles", "/api/v1/articles/popular")
    tags = [client.get(path).headers["ETag"] for path in paths]
    patch(editor, 1, {"title": "Another"})
    for path, tag in zip(paths, tags, strict=True):
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 200, path


def test_if_match_prevents_overwriting_an_unseen_change(client: FlaskClient, editor: Author) -> None:
    location = editor.post().headers["Location"]
    seen = client.get(location).headers["ETag"]
    changed = patch(editor, 1, {"title": "First"}, **{"If-Match": seen})
    assert changed.status_code == 200
    late = patch(editor, 1, {"title": "Second"}, **{"If-Match": seen})
    assert (late.status_code, late.content_type) == (412, "application/problem+json")
    assert editor.client.delete(location, headers=editor.headers | {"If-Match": seen}).status_code == 412
    assert body(client.get(location))["title"] == "First"
    assert patch(editor, 1, {"title": "Third"}, **{"If-Match": changed.headers["ETag"]}).status_code == 200
    assert patch(editor, 1, {"title": "Fourth"}, **{"If-Match": "*"}).status_code == 200
    for malformed in ("nonsense", '"o)", ""'):
        assert patch(editor, 1, {"title": "Fifth"}, **{"If-Match": malformed}).status_code == 412
    assert patch(editor, 1, {"title": "Sixth"}).status_code == 200


def test_counted_views_do_not_prevent_a_change(client: FlaskClient, editor: Author, publish: Publish) -> None:
    article = publish(views=1)
    seen = client.get(f"/api/v1/articles/{article.id}").headers["ETag"]
    change(article, views=99)
    articles.invalidate(article.id)
    assert client.get(f"/api/v1/articles/{article.id}").headers["ETag"] != seen
    assert patch(editor, article.id, {"title": "Changed"}, **{"If-Match": seen}).status_code == 200


def test_the_etag_of_a_change_equals_the_etag_of_the_next_read(
    app: Flask, client: FlaskClient, editor: Author, publish: Publish
) -> None:
    article = publish()
    app.extensions["broker_retry_at"] = 1e12
    tag = patch(editor, article.id, {"title": "Changed"}).headers["ETag"]
    assert client.get(f"/api/v1/articles/{article.id}").headers["ETag"] == tag


def test_options_and_405_list_the_allowed_methods(client: FlaskClient, publish: Publish) -> None:
    article = publish()
    for path, allowed in (
        ("/api/v1/articles", {"GET", "HEAD", "OPTIONS", "POST"}),
        (f"/api/v1/articles/{article.id}", {"GET", "HEAD", "OPTIONS", "PATCH", "DELETE"}),
        ("/api/v1/articles/popular", {"GET", "HEAD", "OPTIONS"}),
    ):
        answer = client.options(path)
        assert (answer.status_code, set(answer.headers["Allow"].split(", "))) == (200, allowed)
        refused = client.put(path)
        assert (refused.status_code, refused.content_type) == (405, "application/problem+json")
        assert set(refused.headers["Allow"].split(", ")) == allowed
        head = client.head(path)
        assert (head.status_code, head.data, head.content_type) == (200, b"", "application/json")
        assert int(head.headers["Content-Length"]) == len(client.get(path).data)


def test_me_returns_the_user_and_scopes_of_the_key(author: Author) -> None:
    response = author.client.get("/api/v1/me", headers=author.headers)
    known = body(response)
    assert (known["user"]["name"], known["name"], known["scopes"]) == ("Ada Marsh", "tests", [ARTICLES_WRITE])
    assert author.headers["Authorization"].startswith(f"Bearer {known['prefix']}.")
    assert response.headers["Cache-Control"] == "private, no-store"
    assert set(known) == {"user", "name", "prefix", "scopes", "created_at"}
    assert author.client.get("/api/v1/me").status_code == 401
