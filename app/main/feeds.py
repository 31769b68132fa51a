"""What programs read of the site: a feed, and where a crawler may go."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, Response, current_app, render_template, request

from app.news import articles
from app.web import pages

bp = Blueprint("feeds", __name__)

ENTRIES = 20
# For readers that come once a minute it is all the same whether an entry is a minute old.
KEPT = "public, max-age=60"
# The moment of a feed without entries: it has to name one.
NEVER = "1970-01-01T00:00:00+00:00"
# Characters that XML cannot carry, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@bp.get("/feed.atom")
def atom() -> Response:
    """The newest articles as an Atom feed."""
    newest = _newest(ENTRIES)
    updated = max((article["updated_at"] or article["published_at"] for article in newest), default=NEVER)
    return _answer("feeds/atom.xml", "application/atom+xml", articles=newest, updated=updated)


@bp.get("/sitemap.xml")
def sitemap() -> Response:
    """What a crawler should look at: the newest articles; it finds the others by the links of pages."""
    return _answer("feeds/sitemap.xml", "application/xml", articles=_newest(articles.MOST_ON_A_PAGE))


@bp.get("/robots.txt")
def robots() -> Response:
    """Where crawlers may not go."""
    return _answer("feeds/robots.txt", "text/plain")


@bp.app_template_filter("xml")
def _without_controls(text: str) -> str:
    return _NOT_XML.sub("", text)


def _newest(limit: int) -> list[dict[str, Any]]:
    cached = articles.cached_newest(after=None, limit=limit, seconds=current_app.config["ARTICLES_TTL"])
    found: list[dict[str, Any]] = pages.load(cached)["articles"]
    return found


def _answer(template: str, mimetype: str, **values: Any) -> Response:
    response = Response(render_template(template, **values), mimetype=mimetype, headers={"Cache-Control": KEPT})
    response.add_etag()
    response.make_conditional(request)
    return response
