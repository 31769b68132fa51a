"""Lists of articles, newest first, by filter and position."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cached_property, lru_cache
from typing import Any

import msgspec
from sqlalchemy import Boolean, Select, String, bindparam, select, tuple_
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

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


class _Matches(FunctionElement[bool]):
    """Whether an article matches a full-text search with the syntax of web searches: words, "phrases", or, -not."""

    type = Boolean()
    inherit_cache = True


class _HasKeyword(FunctionElement[bool]):
    """Whether an article has a keyword."""

    type = Boolean()
    inherit_cache = True


@compiles(_Matches)
def _by_index(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    # The migration adds this generated column of title and content.
    return f"article.search @@ websearch_to_tsquery('english', {compiler.process(element.clauses, **options)})"


@compiles(_Matches, "sqlite")
def _by_substring(element: _Matches, compiler: SQLCompiler, **options: Any) -> str:
    query = compiler.process(element.clauses, **options)
    return f"instr(lower(article.title || ' ' || article.content), lower({query})) > 0"


@compiles(_HasKeyword)
def _by_containment(element: _HasKeyword, compiler: SQLCompiler, **options: Any) -> str:
    return f"article.keywords @> jsonb_build_array({compiler.process(element.clauses, **options)}::text)"


@compiles(_HasKeyword, "sqlite")
def _by_json_each(element: _HasKeyword, compiler: SQLCompiler, **options: Any) -> str:
    word = compiler.process(element.clauses, **options)
    return f"EXISTS (SELECT 1 FROM json_each(article.keywords) WHERE value = {word})"


_CONDITIONS: dict[str, Any] = {
    "author": Article.author_id == bindparam("author", type_=Id),
    "keyword": _HasKeyword(bindparam("keyword", type_=String())),
    "since": Article.published_at >= bindparam("since", type_=UtcDateTime),
    "until": Article.published_at < bindparam("until", type_=UtcDateTime),
    "q": _Matches(bindparam("q", type_=String())),
}


def page(session: Session, selection: Selection, *, after: Position | None, limit: int) -> dict[str, Any]:
    """Return one page, newest first, and the token of the next page."""
    # One extra row shows whether there is a next page.
    values = selection.given | {"limit": limit + 1}
    if after:
        values |= {"after_time": after.published_at, "after_id": after.id}
    rows = session.execute(statement(frozenset(selection.given), following=after is not None), values).all()
    shown = rows[:limit]
    more = len(rows) > limit
    return {
        "articles": [as_json(row) for row in shown],
        "next": Position(shown[-1].published_at, shown[-1].id, selection.digest).token if more else None,
    }


@lru_cache
def statement(chosen: frozenset[str], *, following: bool) -> Select[Any]:
    """Return the statement of a list. It is cached, because composing a statement costs more than running it."""
    composed = LIST.order_by(Article.published_at.desc(), Article.id.desc()).limit(bindparam("limit"))
    composed = composed.where(*(_CONDITIONS[name] for name in sorted(chosen)))
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
