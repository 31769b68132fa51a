"""The tasks of articles."""

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
        articles.invalidate(article_id)
        log.info("article processed", article=article_id)


@shared_task(name="process_forgotten_articles")
def process_forgotten_articles() -> None:
    """Process articles whose task was lost, for instance because no broker accepted it."""
    before = now() - retry.LOST_AFTER
    for article_id in db.read(lambda session: articles.unprocessed(session, before=before), primary=True):
        try:
            process_new_article.run(article_id)
        except retry.NOT_OF_ONE_ELEMENT:
            raise
        except Exception as error:
            # Go on with the others. The fixed ID makes sure that an article has only one dead letter.
            log.exception("article not processed", article=article_id)
            dead_letters.record(
                dead_letters.write(process_new_article.name, f"forgotten-article-{article_id}", [article_id], {}, error)
            )


# No retry: the next run is seconds away and finishes an interrupted batch first.
@shared_task(name="flush_views")
def flush_views() -> None:
    """Write pending views to the database."""
    if flushed := view_counts.flush():
        log.info("views flushed", views=flushed)
