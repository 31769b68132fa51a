"""The API's views: each parses, calls a plain function and answers."""

from __future__ import annotations

from typing import Any

from flask import Response, abort, current_app, request, url_for
from flask_smorest import Blueprint

from app import accounts, articles, tasks, viewcount
from app.api import keys
from app.api.schemas import ArticlePage, FullArticle, NewArticle, Page, PageQuery, PopularList, PopularQuery
from app.background import send
from app.cache import Cached
from app.extensions import db
from app.pin import pin_to_primary

bp = Blueprint("api", __name__, url_prefix="/api/v1", description="Articles")


@bp.get("/articles")
@keys.limited
@bp.arguments(PageQuery, location="query")
@bp.response(200, ArticlePage)
def list_articles(page: Page) -> Response:
    """Newest articles first, one page."""
    return _answer(articles.cached_newest(after=page.after, limit=page.limit, seconds=current_app.config["ARTICLES_TTL"]))


@bp.get("/articles/popular")
@keys.limited
@bp.arguments(PopularQuery, location="query")
@bp.response(200, PopularList)
def list_popular(query: dict[str, int]) -> Response:
    """The most read articles."""
    return _answer(articles.cached_popular(limit=query["limit"], seconds=current_app.config["POPULAR_TTL"]))


@bp.get("/articles/<id:article_id>")
@keys.limited
@bp.response(200, FullArticle)
@bp.alt_response(404, "NOT_FOUND")
def get_article(article_id: int) -> Response:
    """One article. Reading it counts a view."""
    cached = articles.cached_one(article_id, seconds=current_app.config["ARTICLE_TTL"])
    if cached is None:
        abort(404, f"There is no article {article_id}.")
    if request.method == "GET":
        viewcount.count(article_id)
    return _answer(cached)


@bp.post("/articles")
@keys.required(accounts.ARTICLES_WRITE)
@bp.arguments(NewArticle)
@bp.response(201, FullArticle)
@bp.doc(security=[{"key": []}])
@bp.alt_response(401, "UNAUTHORIZED")
@bp.alt_response(403, "FORBIDDEN")
def create_article(new: dict[str, Any]) -> tuple[Response, int, dict[str, str]]:
    """Publish an article. Summary and keywords are written by a worker a moment later."""
    author_id = keys.caller().user_id
    article = db.write(lambda session: articles.create(session, author_id=author_id, **new))
    articles.outdate()
    send(tasks.process_new_article, article.id)
    pin_to_primary()
    stored = db.read(lambda session: articles.one(session, article.id))
    return _json(stored), 201, {"Location": url_for("api.get_article", article_id=article.id)}


def _answer(cached: Cached) -> Response:
    return Response(cached.body, mimetype="application/json", headers={"X-Cache": cached.outcome})


def _json(value: Any) -> Response:
    return Response(current_app.json.dumps(value), mimetype="application/json")
