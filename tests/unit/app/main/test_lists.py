from datetime import timedelta
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.database.models import User, now
from app.news import articles
from app.news.tasks import process_new_article
from tests.unit.app.conftest import Publish, add_user, check_page_tokens, cookies, following, queries

ATOM = "{http://www.w3.org/2005/Atom}"
SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"


@pytest.fixture
def stranger(app: Flask, publish: Publish) -> User:
    """Another author, with articles."""
    user = add_user(app, "bob@news.example", name="Bob <i>Hall</i>")
    publish("His", author_id=user.id, content="Nothing of it.")
    return user


@pytest.mark.parametrize("path", ["/", "/authors/1", "/search?q=storm"])
def test_the_pages_of_a_list_show_every_article(client: FlaskClient, publish: Publish, path: str) -> None:
    for number in range(21):
        publish(f"Storm {number:02}")
    first = client.get(path).text
    assert "Storm 20" in first
    assert "Storm 00" not in first.partition("<aside")[0]
    second = client.get(following(first)).text
    assert "Storm 00" in second
    assert "Storm 01" not in second.partition("<aside")[0]


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
    assert 'value="tempest"' in page


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
        process_new_article(publish(title).id)
    page = client.get("/articles/1").text
    assert 'href="/keywords/storm"' in page
    listed = client.get("/keywords/Storm").text
    assert "Another storm</a>" in listed
    assert "Calm</a>" not in listed
    for path in ("/keywords/nothing", "/keywords/%00", "/keywords/" + "x" * 201):
        assert client.get(path).status_code == 404


def test_a_token_of_another_list_is_refused(client: FlaskClient, publish: Publish, user: User, stranger: User) -> None:
    for number in range(21):
        process_new_article(publish(f"Storm {number:02}").id)
    lists = ("/", f"/authors/{user.id}", "/search?q=storm", "/keywords/storm")
    check_page_tokens(client, lists, others=(f"/authors/{stranger.id}", "/search?q=other"))


def test_the_atom_feed_has_the_newest_articles(client: FlaskClient, publish: Publish) -> None:
    for number in range(21):
        publish(f"Number {number:02} & <b>", published_at=now() - timedelta(hours=30 - number))
    site = "https://news.example"
    response = client.get("/feed.atom", base_url=site)
    assert (response.status_code, response.mimetype) == (200, "application/atom+xml")
    feed = ElementTree.fromstring(response.text)
    assert feed.findtext(f"{ATOM}id") == "https://news.example/"
    entries = feed.findall(f"{ATOM}entry")
    assert [entry.findtext(f"{ATOM}title") for entry in entries[:2]] == ["Number 20 & <b>", "Number 19 & <b>"]
    assert len(entries) == 20
    assert feed.findtext(f"{ATOM}updated") == entries[0].findtext(f"{ATOM}updated")
    for entry in entries:
        assert entry.findtext(f"{ATOM}author/{ATOM}name") == "Ada Marsh"
        assert entry.findtext(f"{ATOM}id", "").startswith("https://news.example/articles/")
    again = client.get("/feed.atom", base_url=site, headers={"If-None-Match": response.headers["ETag"]})
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
