"""The task that collects dead letters."""

import structlog
from celery import shared_task

from app.jobs import dead_letters

log = structlog.get_logger(__name__)


@shared_task(name="collect_dead_letters")
def collect_dead_letters() -> None:
    """Move dead letters to the database, where administrators see them."""
    if collected := dead_letters.collect():
        log.info("dead letters collected", dead_letters=collected)
