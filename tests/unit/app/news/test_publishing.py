from __future__ import annotations

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from app.database.models import Article
from app.extensions import db
from app.news import articles, text
from app.web import plaintext
from tests.unit.app.conftest import body

Publish = Callable[..., Article]


def stored(article_id: int) -> Article:
    """The article as it is in the database."""
    return db.read(lambda session: session.get_one(Article, article_id))


def test_a_change_counts_versions_and_asks_for_a_new_summary(publish: Publish) -> None:
    article = publish()
    db.write(lambda session: articles.process(session, article.id))
    assert db.write(lambda session: articles.change(session, article.id, 1, title="Changed")) == 2
    changed = stored(article.id)
    assert (changed.title, changed.content, changed.version, changed.processed_at) == (
        "Changed",
        "Some content.",
        2,
        None,
    )
    assert changed.updated_at is not None


def test_of_two_who_change_the_same_version_one_is_told(publish: Publish) -> None:
    article = publish()
    db.write(lambda session: articles.change(session, article.id, 1, title="First"))
    with pytest.raises(articles.ConflictError):
        db.write(lambda session: articles.change(session, article.id, 1, title="Second"))
    assert stored(article.id).title == "First"
    assert db.write(lambda session: articles.change(session, article.id, title="Whatever it was")) == 3


def test_what_does_not_exist_is_neither_changed_nor_removed(publish: Publish) -> None:
    article = publish()
    assert db.write(lambda session: articles.change(session, article.id + 1, 1, title="x")) is None
    assert not db.write(lambda session: articles.remove(session, article.id + 1))
    assert db.write(lambda session: articles.remove(session, article.id))
    assert not db.write(lambda session: articles.remove(session, article.id))


def test_an_old_task_does_not_undo_the_summary_of_a_newer_text(
    publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    article = publish()
    summarise = text.summary

    def summary(content: str) -> str:
        with monkeypatch.context() as once:
            once.setattr(text, "summary", summarise)
            db.write(lambda session: articles.change(session, article.id, content="Written meanwhile."))
        return summarise(content)

    monkeypatch.setattr(text, "summary", summary)
    db.read(lambda session: articles.process(session, article.id))
    assert (stored(article.id).summary, stored(article.id).processed_at) == ("", None)


def test_a_task_that_runs_twice_works_once(publish: Publish) -> None:
    article = publish()
    assert db.write(lambda session: articles.process(session, article.id))
    first = stored(article.id).processed_at
    assert not db.write(lambda session: articles.process(session, article.id))
    assert stored(article.id).processed_at == first


def test_a_task_that_runs_twice_at_the_same_time_works_once(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    article = publish()
    summarise, worked = text.summary, []

    def summary(content: str) -> str:
        with monkeypatch.context() as once:
            once.setattr(text, "summary", summarise)
            worked.append(db.write(lambda session: articles.process(session, article.id)))
        return summarise(content)

    monkeypatch.setattr(text, "summary", summary)
    worked.append(db.read(lambda session: articles.process(session, article.id)))
    assert worked == [True, False]


@pytest.mark.parametrize(
    ("written", "one_line", "word"),
    [
        (" \n", False, "blank"),
        ("x" * 11, False, "11"),
        ("a\0b", False, "NUL"),
        ("\ud800", False, "Unicode"),
        ("a\x1b[2J", False, "control"),
        ("two\nlines", True, "control"),
        ("a\u202eb", True, "direction"),
        ("a\u2066b", True, "direction"),
        ("a\u200fb", True, "direction"),
    ],
)
def test_unusable_text_is_named(written: str, one_line: bool, word: str) -> None:
    assert word in (plaintext.fault(written, max_length=10, one_line=one_line) or "")


@pytest.mark.parametrize(
    ("written", "one_line"), [("two\r\nlines\t", False), ("\u05d0\u200f.", False), ("Ærø 🦢", True)]
)
def test_usable_text_has_no_fault(written: str, one_line: bool) -> None:
    assert plaintext.fault(written, max_length=20, one_line=one_line) is None


def test_nobody_is_shown_an_article_that_was_removed(client: FlaskClient, publish: Publish) -> None:
    article = publish("Withdrawn")
    path = f"/articles/{article.id}"
    assert client.get(path).status_code == 200
    db.write(lambda session: articles.remove(session, article.id))
    articles.invalidate(article.id)
    assert client.get(path).status_code == 404
    assert body(client.get("/api/v1/articles"))["articles"] == []
