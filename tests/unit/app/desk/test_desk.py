import re

import pytest
from flask.testing import FlaskClient

from app.database.models import Article, User
from app.extensions import db
from app.news import articles
from tests.unit.app.conftest import Publish, csrf_token, following, log_in, queries, search, stored
from tests.unit.app.desk.conftest import send

FORMS = ("/desk/write", "/desk/articles/1/edit", "/desk/articles/1/delete", "/desk/keys")


def test_the_desk_requires_a_log_in(client: FlaskClient, publish: Publish) -> None:
    publish()
    for path in ("/desk/", *FORMS):
        assert client.get(path).headers["Location"].startswith("/auth/login?next="), path
        assert client.post(path).status_code in {400, 405}, path
    assert db.read(articles.count) == 1


def test_a_new_article_is_visible_at_once(reader: FlaskClient, client: FlaskClient) -> None:
    client.get("/")
    response = send(
        reader, "/desk/write", title=" Storm over the harbour ", content="The storm came.\r\n\r\nBoats stayed in.\r\n"
    )
    assert response.status_code == 302
    page = reader.get(response.headers["Location"]).text
    assert "<p>The storm came.</p>\n<p>Boats stayed in.</p>" in page
    assert "Published." in page
    assert "Storm over the harbour</a>" in client.get("/").text
    written = stored(Article, 1)
    assert (written.title, written.content) == ("Storm over the harbour", "The storm came.\n\nBoats stayed in.")
    assert "storm" in written.keywords


def test_a_preview_saves_nothing(reader: FlaskClient) -> None:
    page = send(reader, "/desk/write", title="Soon", content="One.\n\nTwo.", preview="1")
    assert page.status_code == 200
    assert "<p>One.</p>\n<p>Two.</p>" in page.text
    assert 'value="Soon"' in page.text
    assert db.read(articles.count) == 0


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("title", "", "blank"),
        ("title", "x" * 10_000, "10,000"),
        ("title", "nul\0", "NUL"),
        ("title", "two\nlines", "control"),
        ("title", "exe\u202egpj", "direction"),
        ("title", "exe\u2067gpj", "direction"),
        ("content", " \r\n ", "blank"),
        ("content", "x" * 100_001, "100,001"),
        ("content", "a\0b", "NUL"),
        ("content", "a\x1b[0m", "control"),
    ],
)
def test_a_form_with_errors_keeps_its_text(reader: FlaskClient, field: str, value: str, reason: str) -> None:
    page = send(reader, "/desk/write", **{"title": "Kept title", "content": "Kept text.", field: value})
    assert page.status_code == 422
    name = {"title": "title", "content": "text"}[field]
    assert reason in search(rf'id="{name}-error">([^<]+)<', page.text)
    assert f'aria-describedby="{name}-error' in page.text
    assert "Kept text." in page.text if field == "title" else 'value="Kept title"' in page.text
    assert db.read(articles.count) == 0


def test_a_long_text_in_any_script_can_be_published(reader: FlaskClient) -> None:
    assert send(reader, "/desk/write", title="長い", content="長" * 100_000).status_code == 302


def test_a_huge_request_body_is_refused(reader: FlaskClient) -> None:
    for size in (600_000, 2_000_000):
        fields = {"csrf_token": csrf_token(reader.get("/desk/write")), "title": "x", "content": "x" * size}
        page = reader.post("/desk/write", data=fields, content_type="multipart/form-data")
        assert (page.status_code, page.mimetype) == (413, "text/html")
    assert db.read(articles.count) == 0


def test_element_ids_of_a_page_are_unique(reader: FlaskClient, publish: Publish) -> None:
    publish()
    for path in ("/", "/search", "/account", "/desk/", *FORMS, "/nothing"):
        ids = re.findall(r'\sid="([^"]+)"', reader.get(path).text)
        assert sorted(ids) == sorted(set(ids)), path


def test_typed_html_is_escaped(reader: FlaskClient, client: FlaskClient) -> None:
    attack = '"><script>alert(1)</script>'
    preview = send(reader, "/desk/write", title=attack, content=f"</textarea>{attack}", preview="1")
    written = send(reader, "/desk/write", title=attack, content=f"</textarea>{attack}")
    path = written.headers["Location"]
    pages = [reader.get(shown) for shown in (path, "/", "/desk/", "/desk/articles/1/edit", "/desk/articles/1/delete")]
    for page in [preview, client.get(path), client.get("/"), *pages]:
        assert page.status_code == 200
        assert "<script" not in page.text
        assert "</textarea>&#34;" not in page.text


def test_an_edit_is_visible_at_once(reader: FlaskClient, client: FlaskClient, publish: Publish) -> None:
    article = publish("Before")
    client.get(f"/articles/{article.id}")
    form = reader.get(f"/desk/articles/{article.id}/edit").text
    assert 'value="Before"' in form
    assert "Some content.</textarea>" in form
    response = send(reader, f"/desk/articles/{article.id}/edit", title="After", content="Changed.", version=1)
    assert response.headers["Location"] == f"/articles/{article.id}"
    assert "After</h1>" in client.get(f"/articles/{article.id}").text
    assert "After</a>" in client.get("/").text


@pytest.mark.parametrize("version", ["1", "", "x", "-1", "99999999999999999999"])
def test_a_conflicting_edit_overwrites_nothing(reader: FlaskClient, publish: Publish, version: str) -> None:
    article = publish("Before")
    path = f"/desk/articles/{article.id}/edit"
    send(reader, path, title="First", content="Theirs.", version=1)
    page = send(reader, path, title="Second", content="Mine.", version=version)
    assert page.status_code == 409
    assert "<p>Theirs.</p>" in page.text
    assert 'value="Second"' in page.text
    assert "Mine.</textarea>" in page.text
    found = stored(Article, article.id)
    assert (found.title, found.version) == ("First", 2)
    shown = search(r'name="version"[^>]*value="(\d+)"', page.text)
    assert send(reader, path, title="Second", content="Mine.", version=shown).status_code == 302


def test_an_article_is_deleted_after_a_confirmation(reader: FlaskClient, client: FlaskClient, publish: Publish) -> None:
    article = publish("Mistake")
    client.get(f"/articles/{article.id}")
    path = f"/desk/articles/{article.id}/delete"
    assert "Delete this article?" in reader.get(path).text
    assert stored(Article, article.id)
    assert send(reader, path).headers["Location"] == "/desk/"
    assert "“Mistake” is deleted." in reader.get("/desk/").text
    assert client.get(f"/articles/{article.id}").status_code == 404
    assert reader.get(path).status_code == 404


def test_authors_cannot_change_articles_of_others(stranger: FlaskClient, publish: Publish) -> None:
    article = publish("Hers")
    for action in ("edit", "delete"):
        path = f"/desk/articles/{article.id}/{action}"
        assert stranger.get(path).status_code == 403
        assert send(stranger, path, page="/desk/write", title="His", content="His.", version=1).status_code == 403
    assert "Hers" not in stranger.get("/desk/").text
    assert "/desk/articles" not in stranger.get(f"/articles/{article.id}").text
    assert stored(Article, article.id).title == "Hers"


def test_forms_need_a_csrf_token(reader: FlaskClient, publish: Publish) -> None:
    publish()
    fields = {"title": "x", "content": "y", "version": "1", "name": "n", "csrf_token": "forged"}
    for path in FORMS:
        assert reader.post(path, data=fields).status_code == 400, path
    assert db.read(articles.count) == stored(Article, 1).version == 1


def test_typed_text_survives_a_new_log_in(
    reader: FlaskClient, client: FlaskClient, publish: Publish, user: User
) -> None:
    article = publish("Before")
    for path in ("/desk/write", f"/desk/articles/{article.id}/edit"):
        fields = {"title": "Typed for hours", "content": "All of it.", "version": "1"}
        fields["csrf_token"] = csrf_token(reader.get(path))
        reader.post("/auth/logout", data={"csrf_token": csrf_token(reader.get("/account"))})
        refused = reader.post(path, data=fields)
        assert refused.status_code == 400
        assert "Log in again" in refused.text
        log_in(reader, user.email)
        again = reader.post(path, data=fields)
        assert again.status_code == 400
        assert 'value="Typed for hours"' in again.text
        assert "All of it.</textarea>" in again.text
        assert "Please send it again" in again.text
        assert stored(Article, article.id).title == "Before"
        assert db.read(articles.count) == article.id
        assert reader.post(path, data=fields | {"csrf_token": csrf_token(again)}).status_code == 302
        db.write(lambda session: articles.remove(session, article.id + 1))
    assert client.post("/desk/write", data={"title": "x"}).status_code == 400


def test_every_page_of_the_desk_needs_the_same_number_of_queries(reader: FlaskClient, publish: Publish) -> None:
    publish("Number 00")
    reader.get("/desk/")
    with queries() as few:
        reader.get("/desk/")
    for number in range(1, 21):
        publish(f"Number {number:02}")
    with queries() as many:
        first = reader.get("/desk/").text
    assert len(many) == len(few) == 2
    assert "Number 00" not in first
    second = reader.get(following(first)).text
    assert "Number 00" in second
    assert "Number 01" not in second
    assert reader.get("/desk/?after=forged").status_code == 404
