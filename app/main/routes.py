"""Views of the site: rendered from the JSON that the API serves too, and cached with it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from flask import Blueprint, Response, abort, current_app, make_response, render_template, request, session
from flask_login import current_user, login_required

from app import articles, viewcount
from app.cache import Cached
from app.paging import Position, TokenError

bp = Blueprint("main", __name__)

PAGE = 20
POPULAR_ON_HOME = 5
RECENT_KEPT = 10


@bp.get("/")
def home() -> Response:
    """Newest articles, one page, beside the most read ones."""
    settings = current_app.config
    page = articles.cached_newest(after=_position(), limit=PAGE, seconds=settings["ARTICLES_TTL"])
    popular = articles.cached_popular(limit=POPULAR_ON_HOME, seconds=settings["POPULAR_TTL"])
    return _render("main/home.html", page, page=_load(page), popular=_load(popular)["articles"], first="after" not in request.args)


@bp.get("/popular")
def popular() -> Response:
    """The most read articles."""
    cached = articles.cached_popular(limit=PAGE, seconds=current_app.config["POPULAR_TTL"])
    return _render("main/popular.html", cached, articles=_load(cached)["articles"])


@bp.get("/articles/<id:article_id>")
def article(article_id: int) -> Response:
    """One article. Reading it counts a view."""
    cached = articles.cached_one(article_id, seconds=current_app.config["ARTICLE_TTL"])
    if cached is None:
        abort(404, "There is no such article.")
    found = _load(cached)
    if request.method == "GET":
        viewcount.count(article_id)
        _remember(found)
    return _render("main/article.html", cached, article=found)


@bp.get("/account")
@login_required
def account() -> str:
    """What this session knows: who is logged in and what they have read."""
    return render_template("main/account.html", recent=session.get("recent", []))


@bp.app_template_filter("day")
def day(moment: str) -> str:
    """Write a moment as readers do."""
    date = datetime.fromisoformat(moment)
    return f"{date.day} {date:%B %Y}"


@bp.app_context_processor
def _site() -> dict[str, Any]:
    return {"site_name": current_app.config["SITE_NAME"], "release": current_app.config["APP_RELEASE"]}


def _render(template: str, cached: Cached, **values: Any) -> Response:
    response = make_response(render_template(template, **values))
    response.headers["X-Cache"] = cached.outcome
    return response


def _load(cached: Cached) -> Any:
    return msgspec.json.decode(cached.body)


def _position() -> Position | None:
    if not (token := request.args.get("after")):
        return None
    try:
        return Position.from_token(token)
    except TokenError:
        abort(404, "There is no such page.")


def _remember(found: dict[str, Any]) -> None:
    """Put an article at the head of what this reader has read, where there is a session at all."""
    if not current_user.is_authenticated:
        return
    read = {"id": found["id"], "title": found["title"]}
    recent = session.get("recent", [])
    if recent[:1] != [read]:
        session["recent"] = [read, *(other for other in recent if other["id"] != read["id"])][:RECENT_KEPT]
