"""The views of the API. Each one parses, calls a plain function, and responds."""

from typing import Any, NoReturn

import msgspec
from flask import Response, abort, current_app, request, url_for
from flask_smorest import Blueprint
from flask_smorest import abort as abort_with
from sqlalchemy.orm import Session

from app.accounts import users
from app.api import conditional, keys
from app.api.document import LIMITS, header_refs, operation
from app.api.parsing import StrictParser
from app.api.schemas import (
    ArticleChange,
    ArticlePage,
    Caller,
    FullArticle,
    IdempotencyHeaders,
    NewArticle,
    Page,
    PageQuery,
    PopularList,
    PopularQuery,
)
from app.database.models import ApiKey
from app.extensions import db
from app.news import articles, publishing, view_counts
from app.web import idempotency

bp = Blueprint("api", __name__, url_prefix="/api/v1", description="Read and publish articles")
bp.ARGUMENTS_PARSER = StrictParser()

WITH_QUERY = {"api.list_articles", "api.list_popular"}
READ_HEADERS = header_refs("X-Request-Id", "X-Cache", "ETag", *LIMITS)
UNCHANGED = {"description": "Not changed", "headers": header_refs("X-Request-Id", "ETag")}
IF_NONE_MATCH = {
    "name": "If-None-Match",
    "description": "The ETag of an earlier response. If nothing has changed, the response is 304",
}
IF_MATCH = {
    "name": "If-Match",
    "description": "The ETag of the article that you read. If it was changed since, the response is 412. "
    "Counted views do not matter",
}


@bp.before_request
def _reject_unknown_parameters() -> None:
    if request.args and request.endpoint not in WITH_QUERY:
        abort_with(422, messages={"query": {name: ["Unknown field."] for name in request.args}})


@bp.get("/articles")
@keys.limited
@bp.arguments(PageQuery(), location="query")
@bp.response(200, ArticlePage, headers=READ_HEADERS)
@bp.alt_response(304, **UNCHANGED)
@operation(bp, 429, 503, header=IF_NONE_MATCH)
def list_articles(page: Page) -> Response:
    """Newest articles first, one page.

    Without filters: all articles.
    """
    settings = current_app.config
    # Few clients send the same search or time filter twice, so these pages stay in the cache only for a moment.
    seconds = settings["SEARCH_TTL" if {"q", "since", "until"} & page.selection.given.keys() else "ARTICLES_TTL"]
    return conditional.list_response(
        articles.cached_page(page.selection, after=page.after, limit=page.limit, seconds=seconds)
    )


@bp.get("/articles/popular")
@keys.limited
@bp.arguments(PopularQuery(), location="query")
@bp.response(200, PopularList, headers=READ_HEADERS)
@bp.alt_response(304, **UNCHANGED)
@operation(bp, 429, 503, header=IF_NONE_MATCH)
def list_popular(query: dict[str, int]) -> Response:
    """The most read articles."""
    return conditional.list_response(
        articles.cached_popular(limit=query["limit"], seconds=current_app.config["POPULAR_TTL"])
    )


@bp.get("/articles/<id:article_id>")
@keys.limited
@bp.response(200, FullArticle, headers=READ_HEADERS)
@bp.alt_response(304, **UNCHANGED)
@operation(bp, 404, 422, 429, 503, header=IF_NONE_MATCH)
def get_article(article_id: int) -> Response:
    """One article.

    Each read counts a view. A 304 counts too, because the client then shows its own copy.
    """
    cached = articles.cached_one(article_id, seconds=current_app.config["ARTICLE_TTL"])
    if cached is None:
        _no_article(article_id)
    if request.method == "GET":
        view_counts.count(article_id)
    return conditional.article_response(cached)


@bp.post("/articles")
@keys.required(users.ARTICLES_WRITE)
@bp.arguments(IdempotencyHeaders(), location="headers")
@bp.arguments(NewArticle())
@bp.response(201, FullArticle, headers=header_refs("X-Request-Id", "Location", "ETag", "Idempotency-Replayed", *LIMITS))
@operation(bp, 400, 401, 403, 413, 415, 422, 429, 503, needs_key=True)
def create_article(headers: dict[str, str], new: dict[str, Any]) -> Response:
    """Publish an article.

    A worker adds summary and keywords a moment later. With an `Idempotency-Key` the same request gets the same response
    for 24 hours. The same key with a different request is an error.
    """
    author_id, key = keys.caller().user_id, headers.get("key")

    def publish(session: Session) -> idempotency.Answer:
        article = articles.create(session, author_id=author_id, **new)
        location = url_for("api.get_article", article_id=article.id)
        return idempotency.Answer(201, location, msgspec.json.encode(articles.one(session, article.id)).decode())

    if key is None:
        answer = db.write(publish)
    else:
        try:
            answer = idempotency.once(author_id, key, new, publish)
        except idempotency.OtherRequestError:
            abort_with(422, messages={"headers": {"Idempotency-Key": ["Was used for a different request."]}})
    response = _written(answer.body.encode(), answer.status)
    response.headers["Location"] = answer.location
    if answer.replayed:
        response.headers["Idempotency-Replayed"] = "true"
    else:
        publishing.written(msgspec.json.decode(answer.body)["id"])
    return response


@bp.patch("/articles/<id:article_id>")
@keys.required(users.ARTICLES_WRITE)
@bp.arguments(ArticleChange())
@bp.response(200, FullArticle, headers=header_refs("X-Request-Id", "ETag", *LIMITS))
@operation(bp, 400, 401, 403, 404, 412, 413, 415, 422, 429, 503, needs_key=True, header=IF_MATCH)
def change_article(change: dict[str, Any], article_id: int) -> Response:
    """Change an article's title or content.

    Allowed for its author and for administrators. A worker updates summary and keywords a moment later.
    """

    def work(session: Session) -> bytes:
        _authorise(session, article_id)
        articles.change(session, article_id, **change)
        return msgspec.json.encode(articles.one(session, article_id))

    body = db.write(work)
    publishing.written(article_id)
    return _written(body, 200)


@bp.delete("/articles/<id:article_id>")
@keys.required(users.ARTICLES_DELETE)
@bp.response(204, description="Deleted", headers=header_refs("X-Request-Id", *LIMITS))
@operation(bp, 401, 403, 404, 412, 422, 429, 503, needs_key=True, header=IF_MATCH)
def delete_article(article_id: int) -> Response:
    """Delete an article.

    Allowed for its author and for administrators.
    """

    def work(session: Session) -> None:
        _authorise(session, article_id)
        articles.remove(session, article_id)

    db.write(work)
    publishing.removed(article_id)
    return Response(status=204)


@bp.get("/me")
@keys.required()
@bp.response(200, Caller, headers=header_refs("X-Request-Id", *LIMITS))
@operation(bp, 401, 422, 429, 503, needs_key=True)
def show_caller() -> ApiKey:
    """The user, name and scopes of the API key."""
    return keys.caller()


def _authorise(session: Session, article_id: int) -> None:
    """Check the owner and If-Match, and lock the article until the commit."""
    if (found := articles.ownership(session, article_id)) is None:
        _no_article(article_id)
    author_id, version = found
    caller = keys.caller().user
    if caller.id != author_id and not caller.is_admin:
        abort(403, "Only the author and administrators may change an article.")
    if not conditional.matches(version):
        abort(412, f"The article has version {version}, and If-Match names another one. Read the article again.")


def _no_article(article_id: int) -> NoReturn:
    abort(404, f"There is no article {article_id}.")


def _written(body: bytes, status: int) -> Response:
    response = Response(body, status, mimetype="application/json")
    # The body is encoded as in the cache, so the next read has the same ETag.
    response.set_etag(conditional.article_tag(body))
    return response
