import re
from collections.abc import Callable
from datetime import timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import users
from app.database.engine import Database
from app.database.models import Article, User, now
from app.extensions import db
from app.news import articles
from tests.unit.app.conftest import PASSWORD, cookies, queries

Publish = Callable[..., Article]
ATOM = "{http://www.w3.org/2005/Atom}"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


@pytest.fixture
def stranger(app: Flask) -> User:
    """Another author, with articles."""
    database: Database = app.extensions["database"]
    name = "Bob <i>Hall</i>"
    user = database.write(
        lambda session: users.create_user(session, email="bob@news.example", name=name, password=PASSWORD)
    )
    db.write(lambda session: articles.create(session, author_id=user.id, title="His", content="Nothing of it."))
    return user


def following(page: str) -> str:
    """The link to the next page."""
    found = re.search(r'href="([^"]+)" rel="next"', page)
    assert found, page
    return found[1].replace("&amp;", "&")


def test_bylines_link_to_the_page_of_the_author(
    client: FlaskClient, publish: Publish, user: User, stranger: User
) -> None:
    article = publish("Hers")
    path = f"/authors/{user.id}"
    for page in ("/", "/popular", f"/articles/{article.id}"):
        assert f'href="{path}"' in client.get(page).text, page
    page = client.get(path).text
    assert ">Ada Marsh</h1>" in page
    assert "Hers" in page
    assert "His" not in page
    assert "Bob &lt;i&gt;Hall&lt;/i&gt;</h1>" in client.get(f"/authors/{stranger.id}").text


def test_the_pages_of_an_author_show_every_article(client: FlaskClient, publish: Publish, user: User) -> None:
    for number in range(21):
        publish(f"Number {number:02}")
    link = following(client.get(f"/authors/{user.id}").text)
    second = client.get(link).text
    assert "Number 00" in second
    assert "Number 01" not in second


def test_a_user_without_articles_has_no_page(client: FlaskClient, user: User) -> None:
    assert client.get(f"/authors/{user.id}").status_code == 404
    assert client.get("/authors/999").status_code == 404


def test_a_search_finds_words_in_titles_and_texts(client: FlaskClient, publish: Publish, stranger: User) -> None:
    assert stranger
    publish("Storm over the harbour")
    for query, found in (("storm", True), ("content", True), ("  storm   over ", True), ("tempest", False)):
        page = client.get("/search", query_string={"q": query}).text
        assert ("Storm over the harbour</a>" in page) is found, query
        assert "His</a>" not in page
    assert "Nothing found for “tempest”" in page


def test_the_pages_of_a_search_show_every_result(client: FlaskClient, publish: Publish) -> None:
    for number in range(21):
        publish(f"Storm {number:02}")
    link = following(client.get("/search?q=storm").text)
    assert link.startswith("/search?")
    second = client.get(link).text
    assert "Storm 00" in second
    assert "Storm 01" not in second
    assert 'value="storm"' in second


def test_a_search_without_words_shows_a_form(client: FlaskClient) -> None:
    for path in ("/search", "/search?q=", "/search?q=%20%0a"):
        response = client.get(path)
        assert response.status_code == 200
        assert response.text.count('role="search"') == 2, "one in the masthead and one on the page"


@pytest.mark.parametrize("query", ["x" * 201, "a\0b", "a\x1bb", "a\u202eb"])
def test_an_invalid_search_is_refused(client: FlaskClient, query: str) -> None:
    response = client.get("/search", query_string={"q": query})
    assert response.status_code == 422
    assert "This search is not possible." in response.text
    assert cookies(response) == []


@pytest.mark.parametrize(
    "query", ["%", "_", "'; DROP TABLE article; --", '"', "-", "a & | ! (", "<script>alert(1)</script>"]
)
def test_special_characters_do_not_break_a_search(client: FlaskClient, publish: Publish, query: str) -> None:
    publish()
    response = client.get("/search", query_string={"q": query})
    assert response.status_code == 200
    assert "<script" not in response.text


def test_keywords_lead_to_more_articles(client: FlaskClient, publish: Publish) -> None:
    for title in ("Storm over the harbour", "Another storm", "Calm"):
        article = publish(title)
        db.write(lambda session, article=article: articles.process(session, article.id))  # type: ignore[misc]
    page = client.get("/articles/1").text
    assert 'href="/keywords/storm"' in page
    listed = client.get("/keywords/Storm").text
    assert "Another storm</a>" in listed
    assert "Calm</a>" not in listed
    for path in ("/keywords/nothing", "/keywords/%00", "/keywords/" + "x" * 201):
        assert client.get(path).status_code == 404


def test_a_token_of_another_list_is_refused(client: FlaskClient, publish: Publish, user: User, stranger: User) -> None:
    for number in range(21):
        article = publish(f"Storm {number:02}")
        db.write(lambda session, article=article: articles.process(session, article.id))  # type: ignore[misc]
    paths = ("/", f"/authors/{user.id}", "/search?q=storm", "/keywords/storm")
    tokens = {path: following(client.get(path).text).rpartition("after=")[2].partition("&")[0] for path in paths}
    for path in (*paths, f"/authors/{stranger.id}", "/search?q=other"):
        for other, token in tokens.items():
            response = client.get(path + ("&" if "?" in path else "?") + f"after={token}")
            assert response.status_code == (200 if path == other else 404), (path, other)
        assert client.get(path + ("&" if "?" in path else "?") + "after=forged").status_code == 404


def test_the_atom_feed_has_the_newest_articles(client: FlaskClient, publish: Publish) -> None:
    for number in range(21):
        publish(f"Number {number:02} & <b>", published_at=now() - timedelta(hours=30 - number))
    response = client.get("/feed.atom", base_url="https://news.example")
    assert (response.status_code, response.mimetype) == (200, "application/atom+xml")
    assert cookies(response) == []
    feed = ElementTree.fromstring(response.text)
    assert feed.findtext(f"{ATOM}id") == "https://news.example/"
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries[:2]] == ["Number 20 & <b>", "Number 19 & <b>"]
    assert len(entries) == 20
    assert feed.findtext(f"{ATOM}updated") == entries[0].findtext(f"{ATOM}updated")
    for entry in entries:
        assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Ada Marsh"
        assert entry.findtext(f"{ATOM}id", "").startswith("https://news.example/articles/")
    again = client.get(
        "/feed.atom", base_url="https://news.example", headers={"If-None-Match": response.headers["ETag"]}
    )
    assert (again.status_code, again.text) == (304, "")
    assert again.headers["Cache-Control"] == "public, max-age=60"


def test_characters_that_xml_forbids_are_removed_from_the_feed(client: FlaskClient, publish: Publish) -> None:
    publish("Bell \x07 and \ufffe")
    assert ElementTree.fromstring(client.get("/feed.atom").text).findtext(f"{ATOM}entry/{ATOM}title") == "Bell  and "


def test_pages_link_to_the_feed(client: FlaskClient) -> None:
    assert '<link rel="alternate" href="/feed.atom" type="application/atom+xml"' in client.get("/").text
    assert ElementTree.fromstring(client.get("/feed.atom").text).findtext(f"{ATOM}updated"), (
        "an empty feed is a feed too"
    )


def test_robots_txt_and_sitemap(client: FlaskClient, publish: Publish) -> None:
    article = publish()
    robots = client.get("/robots.txt", base_url="https://news.example")
    assert robots.mimetype == "text/plain"
    assert "Disallow: /desk/" in robots.text
    assert "Sitemap: https://news.example/sitemap.xml" in robots.text
    sitemap = ElementTree.fromstring(client.get("/sitemap.xml", base_url="https://news.example").text)
    assert f"https://news.example/articles/{article.id}" in [found.text for found in sitemap.iter(f"{SITEMAP}loc")]


def test_lists_are_cacheable_and_set_no_cookie(client: FlaskClient, publish: Publish, user: User) -> None:
    publish()
    for path in (f"/authors/{user.id}", "/search", "/search?q=title", "/feed.atom", "/robots.txt", "/sitemap.xml"):
        response = client.get(path)
        assert response.status_code == 200, path
        assert cookies(response) == [], path
        assert response.headers["Cache-Control"].startswith("public"), path


def test_every_list_needs_at_most_one_query(client: FlaskClient, publish: Publish, user: User) -> None:
    paths = ("/", f"/authors/{user.id}", "/search?q=title", "/popular", "/feed.atom", "/sitemap.xml")
    counts = []
    for more in (1, 19):
        for _ in range(more):
            publish()
        articles.invalidate()
        with queries() as seen:
            for path in paths * 10:
                assert client.get(path).status_code == 200, path
        counts.append(len(seen))
    # One query for each list: the newest 20 (shared by home page and feed), the newest 100, two sizes of the most read,
    # an author, a search.
    assert counts == [6, 6]


def test_a_missing_page_shows_a_search_form(client: FlaskClient) -> None:
    page = client.get("/nothing").text
    assert 'action="/search"' in page
    assert page.count('for="q"') == page.count('id="q"') == 1
