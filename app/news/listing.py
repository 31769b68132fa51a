"""Lists of articles, newest first, by filter and position."""

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, select, text, tuple_
from sqlalchemy.orm import Session

from app.database.models import Article, Id, User, UtcDateTime
from app.web.paging import NEWEST, Position

COLUMNS: tuple[Any, ...] = (
    Article.id,
    Article.title,
    Article.summary,
    Article.keywords,
    Article.views,
    Article.published_at,
    Article.updated_at,
    Article.version,
    User.id.label("author_id"),
    User.name.label("author_name"),
)
LIST = select(*COLUMNS).join(Article.author)


@dataclass(frozen=True)
class Selection:
    """The filters of a list; without filters it has all articles."""

    author: int | None = None
    keyword: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None

    @cached_property
    def given(self) -> dict[str, Any]:
        """The filters that are set."""
        return {field.name: value for field in fields(self) if (value := getattr(self, field.name)) is not None}

    @cached_property
    def digest(self) -> bytes:
        """Identifies a list in page tokens and cache keys."""
        return hashlib.sha256(msgspec.json.encode(self.given)).digest()[: len(NEWEST)] if self.given else NEWEST


_CONDITIONS: dict[str, Any] = {
    "author": Article.author_id == bindparam("author", type_=Id),
    "since": Article.published_at >= bindparam("since", type_=UtcDateTime),
    "until": Article.published_at < bindparam("until", type_=UtcDateTime),
}
# `q` has the syntax of web searches: words, "phrases", or, -not. SQLite finds only the query itself.
_SEARCHES: dict[str, dict[str, Any]] = {
    "postgresql": {
        "keyword": text("article.keywords @> jsonb_build_array(CAST(:keyword AS text))"),
        # The migration adds this generated column of title and content.
        "q": text("article.search @@ websearch_to_tsquery('english', :q)"),
    },
    "sqlite": {
        "keyword": text("EXISTS (SELECT 1 FROM json_each(article.keywords) WHERE value = :keyword)"),
        "q": text("instr(lower(article.title || ' ' || article.content), lower(:q)) > 0"),
    },
}


def page(session: Session, selection: Selection, *, after: Position | None, limit: int) -> dict[str, Any]:
    """Return one page, newest first, and the token of the next page."""
    # One extra row shows whether there is a next page.
    values = selection.given | {"limit": limit + 1}
    if after:
        values |= {"after_time": after.published_at, "after_id": after.id}
    composed = statement(session.get_bind().dialect.name, frozenset(selection.given), following=after is not None)
    rows = session.execute(composed, values).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return {
        "articles": [as_json(row) for row in shown],
        "next": Position(shown[-1].published_at, shown[-1].id, selection.digest).token if more else None,
    }


@lru_cache
def statement(dialect: str, chosen: frozenset[str], *, following: bool) -> Select[Any]:
    """Return the statement of a list. It is cached, because composing a statement costs more than running it."""
    conditions = _CONDITIONS | _SEARCHES[dialect]
    composed = LIST.order_by(Article.published_at.desc(), Article.id.desc()).limit(bindparam("limit"))
    composed = composed.where(*(conditions[name] for name in sorted(chosen)))
    if following:
        last = tuple_(bindparam("after_time", type_=UtcDateTime), bindparam("after_id", type_=Id))
        composed = composed.where(tuple_(Article.published_at, Article.id) < last)
    return composed


def as_json(row: Any) -> dict[str, Any]:
    """Return an article as it is in lists."""
    return {
        "id": row.id,
        "title": row.title,
        "summary": row.summary,
        "keywords": row.keywords,
        "author": {"id": row.author_id, "name": row.author_name},
        "views": row.views,
        "published_at": row.published_at.isoformat(),
        "updated_at": row.updated_at.isoformat() if row.updated_at else None,
        "version": row.version,
    }
