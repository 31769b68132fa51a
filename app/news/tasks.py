"""The tasks of articles."""

from __future__ import annotations

import structlog
from celery import shared_task

from app.database.models import now
from app.extensions import db
from app.jobs import dead_letters, retry
from app.news import articles, view_counts

log = structlog.get_logger(__name__)


@shared_task(name="process_new_article", **retry.RETRY)
def process_new_article(article_id: int) -> None:
    """Write an article's summary and keywords."""
    if db.write(lambda session: articles.process(session, article_id)):
        articles.outdate(article_id)
        log.info("article processed", article=article_id)


@shared_task(name="process_forgotten_articles")
def process_forgotten_articles() -> None:
    """Do what tasks should have done that no broker took."""
    before = now() - retry.LOST_AFTER
    for article_id in db.read(lambda session: articles.unprocessed(session, before=before), primary=True):
        try:
            process_new_article.run(article_id)
        except retry.TRANSIENT:
            raise
        except Exception as error:
            # One that cannot be processed must not keep the others waiting. Its letter has always the same id, so that there is one.
            log.exception("article not processed", article=article_id)
            dead_letters.record(
                dead_letters.write(process_new_article.name, f"forgotten-article-{article_id}", [article_id], {}, error)
            )


# Not retried: the next one comes in seconds, and takes an interrupted batch first.
@shared_task(name="flush_views")
def flush_views() -> None:
    """Bring counted views to the database."""
    if flushed := view_counts.flush():
        log.info("views flushed", views=flushed)
