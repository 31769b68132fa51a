"""What can be done with articles: plain functions over a session, and the cached JSON that views serve."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, select, tuple_, update
from sqlalchemy.orm import Session

from app import text
from app.cache import Cached
from app.extensions import cache, db
from app.models import Article, Id, User, UtcDateTime, now
from app.paging import Position
from app.pin import reads_from_primary

# Generations of the cache: every list, and each article for itself.
LISTS = "lists"
MOST_ON_A_PAGE = 100

_COLUMNS = (
    Article.id,
    Article.title,
    Article.summary,
    Article.keywords,
    Article.views,
    Article.published_at,
    User.id.label("author_id"),
    User.name.label("author_name"),
)
# Built once: composing a statement costs more than running it.
_LIST = select(*_COLUMNS).join(Article.author)
_NEWEST = _LIST.order_by(Article.published_at.desc(), Article.id.desc()).limit(bindparam("limit"))
_OLDER = _NEWEST.where(
    tuple_(Article.published_at, Article.id) < tuple_(bindparam("published_at", type_=UtcDateTime), bindparam("id", type_=Id)),
)
_POPULAR = _LIST.order_by(Article.views.desc(), Article.id.desc()).limit(bindparam("limit"))
_ONE = select(*_COLUMNS, Article.content).join(Article.author).where(Article.id == bindparam("id"))
_UNPROCESSED = (
    select(Article.id)
    .where(Article.processed_at.is_(None), Article.published_at < bindparam("before", type_=UtcDateTime))
    .order_by(Article.published_at)
    .limit(100)
)


class ConflictError(Exception):
    """The article has been changed since it was read."""


def newest(session: Session, *, after: Position | None, limit: int) -> dict[str, Any]:
    """Return one page, newest first, and the token of the next one."""
    # One more than asked for: whether there is a next page.
    if after is None:
        rows = session.execute(_NEWEST, {"limit": limit + 1}).all()
    else:
        rows = session.execute(_OLDER, {"limit": limit + 1, "published_at": after.published_at, "id": after.id}).all()
    page = rows[:limit]
    more = len(rows) > limit
    return {
        "articles": [_listed(row) for row in page],
        "next": Position(page[-1].published_at, page[-1].id).token if more else None,
    }


def popular(session: Session, *, limit: int) -> dict[str, Any]:
    """Return the most read articles."""
    return {"articles": [_listed(row) for row in session.execute(_POPULAR, {"limit": limit})]}


def one(session: Session, article_id: int) -> dict[str, Any] | None:
    """Return an article with its content."""
    row = session.execute(_ONE, {"id": article_id}).one_or_none()
    return None if row is None else _listed(row) | {"content": row.content}


def create(session: Session, *, author_id: int, title: str, content: str, published_at: datetime | None = None) -> Article:
    """Add an article. Summary and keywords follow: see `process`."""
    article = Article(author_id=author_id, title=title, content=content, published_at=published_at or now())
    session.add(article)
    session.flush()
    return article


def change(session: Session, article_id: int, version: int | None = None, **values: Any) -> int | None:
    """Change title or content; return the article's new version, or None where there is no article.

    Raise ConflictError where `version` is given and the article is not at it any more: in one statement, so that of two who change
    the same version one is told.
    """
    statement = update(Article).where(Article.id == article_id)
    if version is not None:
        statement = statement.where(Article.version == version)
    # Not processed: a new task writes summary and keywords, or the sweep does where the task is lost.
    statement = statement.values(**values, version=Article.version + 1, updated_at=now(), processed_at=None)
    changed: int | None = session.scalar(statement.returning(Article.version).execution_options(synchronize_session=False))
    if changed is None and version is not None and session.scalar(select(Article.id).where(Article.id == article_id)):
        raise ConflictError(article_id)
    return changed


def remove(session: Session, article_id: int) -> bool:
    """Delete an article; return whether there was one."""
    statement = delete(Article).where(Article.id == article_id).returning(Article.id).execution_options(synchronize_session=False)
    return session.scalar(statement) is not None


def process(session: Session, article_id: int) -> bool:
    """Write an article's summary and keywords; return whether there is such an article. Doing it again changes nothing."""
    row = session.execute(select(Article.title, Article.content, Article.version).where(Article.id == article_id)).one_or_none()
    if row is None:
        return False
    session.execute(
        update(Article)
        # Whoever has changed it meanwhile has sent a task of their own, which may be done already.
        .where(Article.id == article_id, Article.version == row.version)
        .values(summary=text.summary(row.content), keywords=text.keywords(row.title, row.content), processed_at=now())
        .execution_options(synchronize_session=False)
    )
    return True


def unprocessed(session: Session, *, before: datetime) -> list[int]:
    """Return articles of before a time whose task was lost."""
    return list(session.scalars(_UNPROCESSED, {"before": before}))


def count(session: Session) -> int:
    """Return how many articles there are."""
    return session.scalar(select(func.count()).select_from(Article)) or 0


def outdate(*article_ids: int) -> None:
    """Outdate what the cache knows of these articles and every list. Call it after the commit."""
    for article_id in article_ids:
        cache.bump(f"article:{article_id}")
    cache.bump(LISTS)


def cached_newest(*, after: Position | None, limit: int, seconds: float) -> Cached:
    """Return a page as JSON. The key is made of validated arguments alone: junk parameters mint none."""
    key = f"newest:{limit}:{after.token if after else ''}"
    return _present(_fetch(key, LISTS, seconds, lambda session: newest(session, after=after, limit=limit)))


def cached_popular(*, limit: int, seconds: float) -> Cached:
    """Return the most read articles as JSON."""
    return _present(_fetch(f"popular:{limit}", LISTS, seconds, lambda session: popular(session, limit=limit)))


def cached_one(article_id: int, *, seconds: float) -> Cached | None:
    """Return an article as JSON."""
    return _fetch(f"article:{article_id}", f"article:{article_id}", seconds, lambda session: one(session, article_id))


def _fetch(key: str, generation: str, seconds: float, read: Any) -> Cached | None:
    def load(recent: bool) -> bytes | None:
        value = db.read(read, primary=recent)
        return None if value is None else msgspec.json.encode(value)

    return cache.fetch(key, generation=generation, seconds=seconds, load=load, insist=reads_from_primary())


def _present(cached: Cached | None) -> Cached:
    if cached is None:
        raise LookupError("a list is never missing")
    return cached


def _listed(row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "title": row.title,
        "summary": row.summary,
        "keywords": row.keywords,
        "author": {"id": row.author_id, "name": row.author_name},
        "views": row.views,
        "published_at": row.published_at.isoformat(),
    }
