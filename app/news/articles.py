"""Functions that read and change articles, and the cached JSON that views serve."""

from datetime import datetime
from typing import Any, cast

import msgspec
from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.orm import Session

from app.database.models import Article, UtcDateTime, now
from app.extensions import cache, db
from app.news import listing, text
from app.news.listing import COLUMNS, LIST, Selection
from app.redis.cache import Cached
from app.web.paging import Position
from app.web.read_your_writes import reads_from_primary

# The cache generation of all lists. Each article has its own generation.
LISTS = "lists"
MAX_PAGE_SIZE = 100
MAX_ARTICLE_LENGTH = 100_000

# Built once, because composing a statement costs more than running it.
POPULAR = LIST.order_by(Article.views.desc(), Article.id.desc()).limit(bindparam("limit"))
ONE = select(*COLUMNS, Article.content).join(Article.author).where(Article.id == bindparam("id"))
OWNERSHIP = select(Article.author_id, Article.version).where(Article.id == bindparam("id")).with_for_update()
UNPROCESSED = (
    select(Article.id)
    .where(Article.processed_at.is_(None), Article.published_at < bindparam("before", type_=UtcDateTime))
    .order_by(Article.published_at)
    .limit(100)
)


class ConflictError(Exception):
    """The article has changed since the client read it."""


def popular(session: Session, *, limit: int) -> dict[str, Any]:
    """Return the articles with the most views."""
    return {"articles": [listing.as_json(row) for row in session.execute(POPULAR, {"limit": limit})]}


def one(session: Session, article_id: int) -> dict[str, Any] | None:
    """Return an article with its content."""
    row = session.execute(ONE, {"id": article_id}).one_or_none()
    return None if row is None else listing.as_json(row) | {"content": row.content}


def create(
    session: Session, *, author_id: int, title: str, content: str, published_at: datetime | None = None
) -> Article:
    """Add an article. `process` adds summary and keywords later."""
    article = Article(author_id=author_id, title=title, content=content, published_at=published_at or now())
    session.add(article)
    session.flush()
    return article


def change(session: Session, article_id: int, version: int | None = None, **values: Any) -> int | None:
    """Change title or content; return the article's new version, or None if there is no such article.

    Raise ConflictError if `version` is given and is not the article's version any more. One statement compares and
    changes the version, so only one of two concurrent changes to the same version succeeds.
    """
    statement = update(Article).where(Article.id == article_id)
    if version is not None:
        statement = statement.where(Article.version == version)
    # Without `processed_at`, a task writes summary and keywords again. If that task is lost, the periodic task does it.
    statement = statement.values(**values, version=Article.version + 1, updated_at=now(), processed_at=None)
    changed: int | None = session.scalar(
        statement.returning(Article.version).execution_options(synchronize_session=False)
    )
    if changed is None and version is not None and session.scalar(select(Article.id).where(Article.id == article_id)):
        raise ConflictError(article_id)
    return changed


def ownership(session: Session, article_id: int) -> tuple[int, int] | None:
    """Return an article's author and version, and lock the article until the transaction ends."""
    row = session.execute(OWNERSHIP, {"id": article_id}).one_or_none()
    return None if row is None else (row.author_id, row.version)


def remove(session: Session, article_id: int) -> bool:
    """Delete an article; return whether it existed."""
    statement = (
        delete(Article)
        .where(Article.id == article_id)
        .returning(Article.id)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(statement) is not None


def process(session: Session, article_id: int) -> bool:
    """Write the summary and keywords of an article that has none; return whether this call wrote them."""
    is_pending = Article.id == article_id, Article.processed_at.is_(None)
    row = session.execute(select(Article.title, Article.content, Article.version).where(*is_pending)).one_or_none()
    if row is None:
        return False
    done = session.scalar(
        update(Article)
        # A change in the meantime has sent its own task. This task may also run twice at the same time.
        .where(*is_pending, Article.version == row.version)
        .values(
            summary=text.summary(row.content),
            keywords=text.keywords(row.title, row.content),
            processed_at=now(),
        )
        .returning(Article.id)
        .execution_options(synchronize_session=False)
    )
    return done is not None


def unprocessed(session: Session, *, before: datetime) -> list[int]:
    """Return articles from before a time that were never processed, because their task was lost."""
    return list(session.scalars(UNPROCESSED, {"before": before}))


def count(session: Session) -> int:
    """Return the number of articles."""
    return session.scalar(select(func.count()).select_from(Article)) or 0


def invalidate(*article_ids: int) -> None:
    """Invalidate these articles and all lists in the cache. Call it after the commit."""
    for article_id in article_ids:
        cache.invalidate(f"article:{article_id}")
    cache.invalidate(LISTS)


def cached_page(selection: Selection, *, after: Position | None, limit: int, seconds: float) -> Cached:
    """Return a page as JSON. Only validated arguments are in the key, so junk parameters do not fill the cache."""
    key = f"{selection.digest.hex()}:{limit}:{after.token if after else ''}"
    cached = _fetch(key, LISTS, seconds, lambda session: listing.page(session, selection, after=after, limit=limit))
    return cast("Cached", cached)  # a list always exists


def cached_popular(*, limit: int, seconds: float) -> Cached:
    """Return the articles with the most views as JSON."""
    cached = _fetch(f"popular:{limit}", LISTS, seconds, lambda session: popular(session, limit=limit))
    return cast("Cached", cached)  # a list always exists


def cached_one(article_id: int, *, seconds: float) -> Cached | None:
    """Return an article as JSON."""
    return _fetch(f"article:{article_id}", f"article:{article_id}", seconds, lambda session: one(session, article_id))


def _fetch(key: str, generation: str, seconds: float, read: Any) -> Cached | None:
    def load(recent: bool) -> bytes | None:
        value = db.read(read, primary=recent)
        return None if value is None else msgspec.json.encode(value)

    return cache.fetch(key, generation=generation, seconds=seconds, load=load, fresh=reads_from_primary())
