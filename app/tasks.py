"""What runs in the background. Each task is thin over a plain function and may run twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from sqlalchemy.exc import OperationalError

from app import articles, viewcount
from app.extensions import db
from app.models import now
from app.store import StoreUnavailableError

log = structlog.get_logger(__name__)

# A database or store that fails over is back within half a minute.
RETRY: Any = {
    "autoretry_for": (OperationalError, StoreUnavailableError),
    "retry_backoff": 1,
    "retry_backoff_max": 30,
    "retry_jitter": True,
    "max_retries": 8,
}
# A task that was not lost has run by then.
FORGOTTEN_AFTER = timedelta(seconds=30)


@shared_task(name="process_new_article", **RETRY)
def process_new_article(article_id: int) -> None:
    """Write an article's summary and keywords."""
    if db.write(lambda session: articles.process(session, article_id)):
        articles.outdate(article_id)
        log.info("article processed", article=article_id)


@shared_task(name="process_forgotten_articles")
def process_forgotten_articles() -> None:
    """Do what tasks should have done that no broker took."""
    before = now() - FORGOTTEN_AFTER
    for article_id in db.read(lambda session: articles.unprocessed(session, before=before), primary=True):
        process_new_article.run(article_id)


# Not retried: the next one comes in seconds, and takes an interrupted batch first.
@shared_task(name="flush_views")
def flush_views() -> None:
    """Bring counted views to the database."""
    if flushed := viewcount.flush():
        log.info("views flushed", views=flushed)
