"""What follows a change of articles, on the site and in the API alike. Each is called after the commit."""

from __future__ import annotations

from app.jobs.celery_app import send
from app.news import articles
from app.web.read_your_writes import pin_to_primary


def written(article_id: int) -> None:
    """Show everybody an article that is new or changed, and its author first."""
    articles.outdate(article_id)
    send("process_new_article", article_id)
    pin_to_primary()


def removed(article_id: int) -> None:
    """Show nobody an article any more, and not its author either."""
    articles.outdate(article_id)
    pin_to_primary()
