"""Schemas of requests and responses."""

from dataclasses import dataclass
from typing import Any

import marshmallow as ma
from marshmallow import validate

from app.api.fields import Number, Timestamp, plain_text
from app.database.models import TITLE_LENGTH
from app.news.articles import MAX_ARTICLE_LENGTH, MAX_PAGE_SIZE
from app.news.listing import Selection
from app.web.paging import Position, TokenError
from app.web.urls import MAX_ID

MAX_KEYWORD_LENGTH = 80
MAX_SEARCH_LENGTH = 200
POPULAR_LIMIT = 10
EXAMPLE_TIME = "2026-05-01T12:00:00+00:00"


@dataclass(frozen=True)
class Page:
    """The requested page of a list."""

    selection: Selection
    limit: int
    after: Position | None


def _about(description: str, **example: Any) -> dict[str, Any]:
    return {"description": description, **example}


class PageQuery(ma.Schema):
    """Parameters of a list. Several filters are combined with AND."""

    author = Number(validate=validate.Range(1, MAX_ID), metadata=_about("Id of the author", example=1))
    keyword = plain_text(
        MAX_KEYWORD_LENGTH, one_line=True, metadata=_about("One of the article's keywords", example="harbour")
    )
    since = Timestamp(
        metadata=_about("Published at this time or later, RFC 3339 with a zone", example="2026-05-01T00:00:00Z")
    )
    until = Timestamp(metadata=_about("Published before this time", example="2026-06-01T00:00:00Z"))
    q = plain_text(
        MAX_SEARCH_LENGTH,
        one_line=True,
        metadata=_about(
            'Full-text search in title and content: words, "a phrase", or, -without',
            example='"storm warning" harbour -ferry',
        ),
    )
    limit = Number(load_default=20, validate=validate.Range(1, MAX_PAGE_SIZE), metadata=_about("Articles on the page"))
    after = ma.fields.String(
        metadata=_about("`next` of the previous page, with the same filters. Without it: the first page")
    )

    @ma.post_load
    def _make(self, data: dict[str, Any], **_: Any) -> Page:
        limit, token = data.pop("limit"), data.pop("after", None)
        if "keyword" in data:
            data["keyword"] = data["keyword"].strip().lower()
        selection = Selection(**data)
        try:
            return Page(selection, limit, None if token is None else Position.from_token(token, selection.digest))
        except TokenError:
            raise ma.ValidationError(
                {"after": ["Must be the `next` of a page of this list with the same filters."]}
            ) from None


class PopularQuery(ma.Schema):
    """Parameters of the list of popular articles."""

    limit = Number(load_default=POPULAR_LIMIT, validate=validate.Range(1, 50), metadata=_about("Articles"))


def _title(**options: Any) -> ma.fields.String:
    described = _about(
        "One line, without characters that change the direction of text", example="Storm over the harbour"
    )
    return plain_text(TITLE_LENGTH, one_line=True, metadata=described, **options)


def _content(**options: Any) -> ma.fields.String:
    described = _about("Plain text; each line is a paragraph", example="The storm came at noon. Nobody was hurt.")
    return plain_text(MAX_ARTICLE_LENGTH, metadata=described, **options)


class NewArticle(ma.Schema):
    """An article to publish."""

    title = _title(required=True)
    content = _content(required=True)


class ArticleChange(ma.Schema):
    """A change of title, content or both."""

    title = _title()
    content = _content()

    @ma.validates_schema(skip_on_field_errors=True)
    def _changes_something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            missing = ["Send at least one of title and content."]
            raise ma.ValidationError({"title": missing, "content": missing})


class IdempotencyHeaders(ma.Schema):
    """The header that makes a POST safe to retry."""

    key = ma.fields.String(
        data_key="Idempotency-Key",
        validate=validate.Regexp(
            r"^[\x21-\x7e]{1,128}$", error="Must be 1 to 128 printable ASCII characters without blanks."
        ),
        metadata=_about(
            "Chosen by the client for one article. For 24 hours it gets the same response",
            example="6f1b3c1e-7a43-4f0e-9a0e-2f6f0c1f7a55",
        ),
    )


class AuthorSchema(ma.Schema):
    """The author of an article."""

    id = ma.fields.Integer(required=True, metadata={"example": 1})
    name = ma.fields.String(required=True, metadata={"example": "Ada Marsh"})


class ListedArticle(ma.Schema):
    """An article without its content."""

    id = ma.fields.Integer(required=True, metadata={"example": 17})
    title = ma.fields.String(required=True, metadata={"example": "Storm over the harbour"})
    summary = ma.fields.String(
        required=True, metadata=_about("Empty until a worker has added it", example="The storm came at noon.")
    )
    keywords = ma.fields.List(ma.fields.String(), required=True, metadata={"example": ["storm", "harbour"]})
    author = ma.fields.Nested(AuthorSchema, required=True)
    views = ma.fields.Integer(required=True, metadata=_about("Reads, updated every few seconds", example=42))
    published_at = ma.fields.DateTime(required=True, metadata={"example": EXAMPLE_TIME})
    updated_at = ma.fields.DateTime(
        required=True, allow_none=True, metadata=_about("Last change of title or content", example=None)
    )
    version = ma.fields.Integer(required=True, metadata=_about("Increases with each change", example=1))


class FullArticle(ListedArticle):
    """An article."""

    content = ma.fields.String(required=True, metadata={"example": "The storm came at noon. Nobody was hurt."})


class ArticlePage(ma.Schema):
    """A page of articles, newest first."""

    articles = ma.fields.List(ma.fields.Nested(ListedArticle), required=True)
    next = ma.fields.String(
        required=True, allow_none=True, metadata=_about("`after` of the next page; null on the last page", example=None)
    )


class PopularList(ma.Schema):
    """The most read articles."""

    articles = ma.fields.List(ma.fields.Nested(ListedArticle), required=True)


class Caller(ma.Schema):
    """The API key of a request."""

    user = ma.fields.Nested(AuthorSchema, required=True)
    name = ma.fields.String(required=True, metadata=_about("Name of the key", example="importer"))
    prefix = ma.fields.String(required=True, metadata=_about("Public part of the key", example="3f9a1c20b7de"))
    scopes = ma.fields.List(
        ma.fields.String(), required=True, metadata=_about("What the key may do", example=["articles:write"])
    )
    created_at = ma.fields.DateTime(required=True, metadata={"example": EXAMPLE_TIME})
