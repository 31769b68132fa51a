from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from app.database.models import Article
from app.extensions import db
from app.news import articles, text
from app.web import plaintext
from tests.unit.app.conftest import Publish, stored


def change(article: Article, version: int | None = None, **values: Any) -> int | None:
    return db.write(lambda session: articles.change(session, article.id, version, **values))


def meanwhile(monkeypatch: pytest.MonkeyPatch, work: Callable[[], Any]) -> None:
    """Do work once, while the next article is summarised."""
    summarise = text.summary

    def summary(content: str) -> str:
        monkeypatch.setattr(text, "summary", summarise)
        work()
        return summarise(content)

    monkeypatch.setattr(text, "summary", summary)


def test_a_change_increments_the_version_and_resets_the_summary(publish: Publish) -> None:
    article = publish()
    db.write(lambda session: articles.process(session, article.id))
    assert change(article, 1, title="Changed") == 2
    changed = stored(Article, article.id)
    assert (changed.title, changed.content, changed.version) == ("Changed", "Some content.", 2)
    assert changed.processed_at is None
    assert changed.updated_at is not None


def test_one_of_two_changes_to_the_same_version_fails(publish: Publish) -> None:
    article = publish()
    change(article, 1, title="First")
    with pytest.raises(articles.ConflictError):
        change(article, 1, title="Second")
    assert stored(Article, article.id).title == "First"
    assert change(article, title="Whatever it was") == 3


def test_a_missing_article_is_neither_changed_nor_removed(publish: Publish) -> None:
    article = publish()
    assert db.write(lambda session: articles.change(session, article.id + 1, 1, title="x")) is None
    assert not db.write(lambda session: articles.remove(session, article.id + 1))
    assert db.write(lambda session: articles.remove(session, article.id))
    assert not db.write(lambda session: articles.remove(session, article.id))


def test_an_old_task_does_not_overwrite_a_newer_summary(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    article = publish()
    meanwhile(monkeypatch, lambda: change(article, content="Written meanwhile."))
    db.read(lambda session: articles.process(session, article.id))
    found = stored(Article, article.id)
    assert (found.summary, found.processed_at) == ("", None)


def test_a_repeated_task_does_nothing(publish: Publish) -> None:
    article = publish()
    process = partial(articles.process, article_id=article.id)
    assert db.write(process)
    first = stored(Article, article.id).processed_at
    assert not db.write(process)
    assert stored(Article, article.id).processed_at == first
    assert not db.write(partial(articles.process, article_id=999))


def test_only_one_of_two_concurrent_tasks_works(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    process = partial(articles.process, article_id=publish().id)
    worked: list[bool] = []
    meanwhile(monkeypatch, lambda: worked.append(db.write(process)))
    worked.append(db.read(process))
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
def test_invalid_text_has_a_fault(written: str, one_line: bool, word: str) -> None:
    assert word in (plaintext.fault(written, max_length=10, one_line=one_line) or "")


@pytest.mark.parametrize(
    ("written", "one_line"), [("two\r\nlines\t", False), ("\u05d0\u200f.", False), ("Ærø 🦢", True)]
)
def test_valid_text_has_no_fault(written: str, one_line: bool) -> None:
    assert plaintext.fault(written, max_length=20, one_line=one_line) is None
