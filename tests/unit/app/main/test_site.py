import re
from unittest.mock import Mock

import msgspec
import pytest
from flask.testing import FlaskClient

from app.database.models import User
from app.extensions import store
from app.redis.store import StoreUnavailableError
from tests.unit.app.conftest import Publish, change, cookie, cookies, csrf_token, log_in, search

FEEDS = ("/feed.atom", "/robots.txt", "/sitemap.xml")


@pytest.mark.parametrize(
    "path",
    ["/", "/popular", "/articles/1", "/api/v1/articles", "/authors/1", "/search", "/search?q=title", *FEEDS],
)
def test_an_anonymous_page_is_cacheable_and_sets_no_cookie(client: FlaskClient, publish: Publish, path: str) -> None:
    publish()
    response = client.get(path)
    assert (response.status_code, cookies(response)) == (200, [])
    policy = "public, max-age=60" if path in FEEDS else "public, max-age=0, s-maxage=1"
    assert response.headers["Cache-Control"].startswith(policy)


def test_pages_have_no_inline_script_or_style(client: FlaskClient, publish: Publish) -> None:
    article = publish()
    for path in ("/", "/popular", f"/articles/{article.id}", "/auth/login", "/nothing"):
        response = client.get(path)
        policy = response.headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|https?://(?!localhost)", response.text), path


def test_urls_of_static_files_have_a_content_hash(client: FlaskClient) -> None:
    page = client.get("/").text
    link = search(r'href="(/static/site\.css\?v=[0-9a-f]{12})"', page)
    assert "immutable" in client.get(link).headers["Cache-Control"]
    assert "immutable" not in client.get("/static/site.css").headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/nothing", "/articles/999", "/?after=garbage"])
def test_a_missing_page_is_a_404_with_a_search_form(client: FlaskClient, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.mimetype) == (404, "text/html")
    assert 'action="/search"' in response.text
    assert response.text.count('for="q"') == response.text.count('id="q"') == 1


def test_a_page_for_users_redirects_to_log_in_without_a_cookie(client: FlaskClient) -> None:
    response = client.get("/account")
    assert response.headers["Location"] == "/auth/login?next=%2Faccount"
    assert cookies(response) == []


def test_logging_in_and_out(client: FlaskClient, user: User) -> None:
    response = log_in(client, "ADA@news.example ")
    assert (response.status_code, response.headers["Location"]) == (302, "/account")
    assert client.post("/auth/logout").status_code == 400, "a form without a CSRF token must be refused"
    account = client.get("/account")
    assert user.email in account.text
    key = "session:" + cookie(client, "session")
    assert client.post("/auth/logout", data={"csrf_token": csrf_token(account)}).status_code == 302
    assert client.get("/account").status_code == 302
    assert store.get_session(key) is None, "the log-out must delete the session"


def test_log_in_changes_the_session_id(client: FlaskClient, user: User) -> None:
    client.get("/auth/login")
    planted = cookie(client, "session")
    log_in(client, user.email)
    assert cookie(client, "session") != planted
    assert store.get_session("session:" + planted) is None


@pytest.mark.parametrize(
    "target", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_log_in_does_not_redirect_to_another_site(client: FlaskClient, user: User, target: str) -> None:
    assert log_in(client, user.email, target=f"/auth/login?next={target}").headers["Location"] == "/account"


def test_recently_read_articles_are_in_the_store_and_not_in_the_cookie(reader: FlaskClient, publish: Publish) -> None:
    older, newer = publish("Read first"), publish("Read last")
    for article in (older, newer, older, newer):
        reader.get(f"/articles/{article.id}")
    page = reader.get("/account").text
    assert page.index("Read last") < page.index("Read first")
    assert page.count("Read first") == 1
    stored = store.get_session("session:" + cookie(reader, "session"))
    assert stored is not None
    assert [read["title"] for read in msgspec.msgpack.decode(stored)["recent"]] == ["Read last", "Read first"]


def test_reading_an_article_again_does_not_write_the_session(reader: FlaskClient, publish: Publish) -> None:
    article = publish()
    reader.get(f"/articles/{article.id}")
    assert cookies(reader.get(f"/articles/{article.id}")) == []
    assert cookies(reader.get("/account")) == []


def test_reading_works_without_the_store(
    reader: FlaskClient, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = publish()
    down = Mock(side_effect=StoreUnavailableError("down"))
    with monkeypatch.context() as broken:
        broken.setattr("app.redis.store.MemoryStore.get_session", down)
        assert reader.get(f"/articles/{article.id}").status_code == 200
        assert reader.get("/account").status_code == 302
        assert reader.post("/auth/login").status_code == 503
    assert reader.get("/account").status_code == 200, "the session must work again after the outage"


def test_a_deactivated_user_loses_the_session_at_once(reader: FlaskClient, user: User) -> None:
    change(user, is_active=False)
    assert reader.get("/account").status_code == 302
