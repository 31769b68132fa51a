"""What the API takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from marshmallow import validate

from app.articles import LONGEST_CONTENT, MOST_ON_A_PAGE
from app.models import TITLE_LENGTH
from app.paging import Position, TokenError

POPULAR_LIMIT = 10


class PlainText(ma.fields.String):
    """Text that every tier can keep: neither blank nor with characters that Postgres refuses."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text.strip():
            raise ma.ValidationError("Must not be blank.")
        if "\0" in text:
            raise ma.ValidationError("Must not contain NUL characters.")
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ma.ValidationError("Must be valid Unicode.")
        return text


class Token(ma.fields.String):
    """The `next` of a page."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        try:
            return Position.from_token(super()._deserialize(value, attr, data, **kwargs))
        except TokenError:
            raise ma.ValidationError("Is not the `next` of a page of this list.") from None


@dataclass(frozen=True)
class Page:
    """Which page a client asks for."""

    limit: int
    after: Position | None


class PageQuery(ma.Schema):
    """Arguments of a list."""

    limit = ma.fields.Integer(load_default=20, validate=validate.Range(1, MOST_ON_A_PAGE), metadata={"description": "Articles on the page"})
    after = Token(load_default=None, metadata={"description": "`next` of the page before; the first page without it"})

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Page:
        return Page(**data)


class PopularQuery(ma.Schema):
    """Arguments of the popular list."""

    limit = ma.fields.Integer(load_default=POPULAR_LIMIT, validate=validate.Range(1, 50), metadata={"description": "Articles"})


class NewArticle(ma.Schema):
    """An article to publish."""

    title = PlainText(required=True, validate=validate.Length(1, TITLE_LENGTH))
    content = PlainText(required=True, validate=validate.Length(1, LONGEST_CONTENT))


class AuthorSchema(ma.Schema):
    """Who wrote an article."""

    id = ma.fields.Integer(required=True)
    name = ma.fields.String(required=True)


class ListedArticle(ma.Schema):
    """An article without its content."""

    id = ma.fields.Integer(required=True)
    title = ma.fields.String(required=True)
    summary = ma.fields.String(required=True, metadata={"description": "Empty until a worker has written it"})
    keywords = ma.fields.List(ma.fields.String(), required=True)
    author = ma.fields.Nested(AuthorSchema, required=True)
    views = ma.fields.Integer(required=True, metadata={"description": "Reads, some seconds behind"})
    published_at = ma.fields.DateTime(required=True)
    updated_at = ma.fields.DateTime(required=True, allow_none=True, metadata={"description": "When its author last changed it"})
    version = ma.fields.Integer(required=True, metadata={"description": "Counts those changes"})


class FullArticle(ListedArticle):
    """An article."""

    content = ma.fields.String(required=True)


class ArticlePage(ma.Schema):
    """A page of articles, newest first."""

    articles = ma.fields.List(ma.fields.Nested(ListedArticle), required=True)
    next = ma.fields.String(required=True, allow_none=True, metadata={"description": "`after` of the next page; null on the last"})


class PopularList(ma.Schema):
    """The most read articles."""

    articles = ma.fields.List(ma.fields.Nested(ListedArticle), required=True)
