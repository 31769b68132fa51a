"""What follows a change of articles, on the site and in the API alike. Each is called after the commit."""

from __future__ import annotations

from app import articles, tasks
from app.background import send
from app.pin import pin_to_primary


def written(article_id: int) -> None:
    """Show everybody an article that is new or changed, and its author first."""
    articles.outdate(article_id)
    send(tasks.process_new_article, article_id)
    pin_to_primary()


def removed(article_id: int) -> None:
    """Show nobody an article any more, and not its author either."""
    articles.outdate(article_id)
    pin_to_primary()
