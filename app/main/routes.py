"""Views of the site: rendered from the JSON that the API serves too, and cached with it."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, abort, current_app, render_template, request, session
from flask_login import current_user, login_required

from app import articles, pages, viewcount

bp = Blueprint("main", __name__)

PAGE = 20
POPULAR_ON_HOME = 5
RECENT_KEPT = 10


@bp.get("/")
def home() -> Response:
    """Newest articles, one page, beside the most read ones."""
    settings = current_app.config
    page = articles.cached_newest(after=pages.position(), limit=PAGE, seconds=settings["ARTICLES_TTL"])
    popular = articles.cached_popular(limit=POPULAR_ON_HOME, seconds=settings["POPULAR_TTL"])
    return pages.render(
        "main/home.html", page, page=pages.load(page), popular=pages.load(popular)["articles"], first="after" not in request.args
    )


@bp.get("/popular")
def popular() -> Response:
    """The most read articles."""
    cached = articles.cached_popular(limit=PAGE, seconds=current_app.config["POPULAR_TTL"])
    return pages.render("main/popular.html", cached, articles=pages.load(cached)["articles"])


@bp.get("/articles/<id:article_id>")
def article(article_id: int) -> Response:
    """One article. Reading it counts a view."""
    cached = articles.cached_one(article_id, seconds=current_app.config["ARTICLE_TTL"])
    if cached is None:
        abort(404, "There is no such article.")
    found = pages.load(cached)
    if request.method == "GET":
        viewcount.count(article_id)
        _remember(found)
    return pages.render("main/article.html", cached, article=found)


@bp.get("/account")
@login_required
def account() -> str:
    """What this session knows: who is logged in and what they have read."""
    return render_template("main/account.html", recent=session.get("recent", []))


def _remember(found: dict[str, Any]) -> None:
    """Put an article at the head of what this reader has read, where there is a session at all."""
    if not current_user.is_authenticated:
        return
    read = {"id": found["id"], "title": found["title"]}
    recent = session.get("recent", [])
    if recent[:1] != [read]:
        session["recent"] = [read, *(other for other in recent if other["id"] != read["id"])][:RECENT_KEPT]
