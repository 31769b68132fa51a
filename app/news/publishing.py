"""Steps after a change of an article. The site and the API call these functions after the commit."""

from app.jobs.celery_app import send
from app.news import articles
from app.web.read_your_writes import mark_writer


def written(article_id: int) -> None:
    """Process a new or changed article, invalidate its cache entries, and show its author the change at once."""
    articles.invalidate(article_id)
    send("process_new_article", article_id)
    mark_writer()


def removed(article_id: int) -> None:
    """Invalidate the cache entries of a deleted article, and show its author the change at once."""
    articles.invalidate(article_id)
    mark_writer()
