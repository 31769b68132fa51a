"""The Atom feed, the sitemap and robots.txt."""

import re
from typing import Any, cast

from flask import Blueprint, Response, current_app, render_template, request

from app.news import articles
from app.news.listing import Selection
from app.web import pages

bp = Blueprint("feeds", __name__)

ENTRIES = 20
# Feed readers poll rarely, so a feed may be a minute old.
CACHE_CONTROL = "public, max-age=60"
# Atom requires a date, also in a feed without entries.
NEVER = "1970-01-01T00:00:00+00:00"
# Characters that XML does not allow, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@bp.get("/feed.atom")
def atom() -> Response:
    """Serve the newest articles as an Atom feed."""
    newest = _newest(ENTRIES)
    updated = max((article["updated_at"] or article["published_at"] for article in newest), default=NEVER)
    return _answer("feeds/atom.xml", "application/atom+xml", articles=newest, updated=updated)


@bp.get("/sitemap.xml")
def sitemap() -> Response:
    """Serve the newest articles as a sitemap. Crawlers find the others by links."""
    return _answer("feeds/sitemap.xml", "application/xml", articles=_newest(articles.MAX_PAGE_SIZE))


@bp.get("/robots.txt")
def robots() -> Response:
    """Serve the rules for crawlers."""
    return _answer("feeds/robots.txt", "text/plain")


@bp.app_template_filter("xml")
def _without_controls(text: str) -> str:
    return _NOT_XML.sub("", text)


def _newest(limit: int) -> list[dict[str, Any]]:
    cached = articles.cached_page(Selection(), after=None, limit=limit, seconds=current_app.config["ARTICLES_TTL"])
    return cast("list[dict[str, Any]]", pages.load(cached)["articles"])


def _answer(template: str, mimetype: str, **values: Any) -> Response:
    response = Response(
        render_template(template, **values), mimetype=mimetype, headers={"Cache-Control": CACHE_CONTROL}
    )
    response.add_etag()
    response.make_conditional(request)
    return response
