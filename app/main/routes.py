"""Views of the public pages. They render the cached JSON that the API serves too."""

from typing import Any

from flask import Blueprint, Response, abort, current_app, render_template, request, session
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required

from app.news import articles, view_counts
from app.news.listing import Selection
from app.web import pages, plaintext

bp = Blueprint("main", __name__)

PAGE = 20
POPULAR_ON_HOME = 5
RECENT_KEPT = 10
MAX_QUERY_LENGTH = 200


@bp.get("/")
def home() -> Response:
    """Show one page of articles, newest first, and the most read ones."""
    settings = current_app.config
    page = articles.cached_page(Selection(), after=pages.position(), limit=PAGE, seconds=settings["ARTICLES_TTL"])
    popular = articles.cached_popular(limit=POPULAR_ON_HOME, seconds=settings["POPULAR_TTL"])
    return pages.render(
        "main/home.html",
        page,
        page=pages.load(page),
        popular=pages.load(popular)["articles"],
        first="after" not in request.args,
    )


@bp.get("/popular")
def popular() -> Response:
    """Show the most read articles."""
    cached = articles.cached_popular(limit=PAGE, seconds=current_app.config["POPULAR_TTL"])
    return pages.render("main/popular.html", cached, articles=pages.load(cached)["articles"])


@bp.get("/articles/<id:article_id>")
def article(article_id: int) -> Response:
    """Show an article and count a view."""
    cached = articles.cached_one(article_id, seconds=current_app.config["ARTICLE_TTL"])
    if cached is None:
        abort(404, "There is no such article.")
    found = pages.load(cached)
    if request.method == "GET":
        view_counts.count(article_id)
        _remember(found)
    return pages.render("main/article.html", cached, article=found)


@bp.get("/authors/<id:author_id>")
def author(author_id: int) -> Response:
    """Show one page of an author's articles.

    A user without articles has no page, because the page would show that the user is registered.
    """
    return _list("main/author.html", Selection(author=author_id), missing="There is no such author.")


@bp.get("/keywords/<word>")
def keyword(word: str) -> Response:
    """Show one page of the articles with a keyword."""
    missing = "There is no such keyword."
    if plaintext.fault(word, max_length=MAX_QUERY_LENGTH, one_line=True):
        abort(404, missing)
    return _list("main/keyword.html", Selection(keyword=word.lower()), missing=missing, word=word.lower())


@bp.get("/search")
def search() -> ResponseReturnValue:
    """Show one page of search results, newest first."""
    query = " ".join(request.args.get("q", "").split())
    if not query:
        return render_template("main/search.html", query="")
    if fault := plaintext.fault(query, max_length=MAX_QUERY_LENGTH, one_line=True):
        return render_template("main/search.html", query="", fault=fault), 422
    return _list("main/search.html", Selection(q=query), ttl="SEARCH_TTL", query=query)


@bp.get("/account")
@login_required
def account() -> str:
    """Show the user and the articles that were read in this session."""
    return render_template("main/account.html", recent=session.get("recent", []))


def _list(
    template: str, selection: Selection, *, ttl: str = "ARTICLES_TTL", missing: str | None = None, **values: Any
) -> Response:
    """Show one page of a list. If `missing` is given, an empty page is a 404 with this message."""
    after = pages.position(selection.digest)
    cached = articles.cached_page(selection, after=after, limit=PAGE, seconds=current_app.config[ttl])
    page = pages.load(cached)
    if missing and not page["articles"]:
        abort(404, missing)
    return pages.render(template, cached, page=page, first=after is None, **values)


def _remember(found: dict[str, Any]) -> None:
    """Add an article to the list of recently read ones, if the reader is logged in."""
    if not current_user.is_authenticated:
        return
    read = {"id": found["id"], "title": found["title"]}
    recent = session.get("recent", [])
    if recent[:1] != [read]:
        session["recent"] = [read, *(other for other in recent if other["id"] != read["id"])][:RECENT_KEPT]
