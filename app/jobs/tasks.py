"""What runs in the background. Each task is thin over a plain function and may run twice."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import structlog
from celery import shared_task
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.accounts import users
from app.database.models import now
from app.extensions import db
from app.jobs import dead_letters
from app.mail import outbox
from app.mail.relay import DeferredError, RelayError
from app.news import articles, view_counts
from app.redis.store import StoreUnavailableError
from app.web import idempotency

log = structlog.get_logger(__name__)

# A database or store that fails over is back within half a minute.
TRANSIENT = (OperationalError, PoolTimeoutError, StoreUnavailableError)
RETRY: Any = {
    "autoretry_for": TRANSIENT,
    "retry_backoff": 1,
    "retry_backoff_max": 30,
    "retry_jitter": True,
    "max_retries": 8,
}
# Slower: a relay may be away for longer, or want a stranger to come again.
RETRY_MAIL: Any = RETRY | {
    "autoretry_for": (*TRANSIENT, RelayError, DeferredError),
    "retry_backoff": 5,
    "retry_backoff_max": 300,
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
        try:
            process_new_article.run(article_id)
        except TRANSIENT:
            raise
        except Exception as error:
            # One that cannot be processed must not keep the others waiting. Its letter has always the same id, so that there is one.
            log.exception("article not processed", article=article_id)
            dead_letters.record(
                dead_letters.write(process_new_article.name, f"forgotten-article-{article_id}", [article_id], {}, error)
            )


@shared_task(name="send_email", **RETRY_MAIL)
def send_email(letter_id: int) -> None:
    """Send a letter of the outbox."""
    outbox.send(letter_id)


@shared_task(name="send_forgotten_emails")
def send_forgotten_emails() -> None:
    """Send what waits in the outbox since no broker took its task, or no relay the letter."""
    before = now() - FORGOTTEN_AFTER
    for letter_id in db.read(lambda session: outbox.unsent(session, before=before), primary=True):
        try:
            outbox.send(letter_id)
        except RelayError as error:
            log.warning("letters wait", reason=str(error))
            return
        except DeferredError as error:
            log.info("letter waits", letter=letter_id, reason=str(error))
        except TRANSIENT:
            raise
        except Exception as error:
            log.exception("letter not sent", letter=letter_id)
            dead_letters.record(
                dead_letters.write(send_email.name, f"forgotten-email-{letter_id}", [letter_id], {}, error)
            )


# Not retried: the next one comes in seconds, and takes an interrupted batch first.
@shared_task(name="flush_views")
def flush_views() -> None:
    """Bring counted views to the database."""
    if flushed := view_counts.flush():
        log.info("views flushed", views=flushed)


@shared_task(name="collect_dead_letters")
def collect_dead_letters() -> None:
    """Bring dead letters to the database, where administrators see them."""
    if collected := dead_letters.collect():
        log.info("dead letters collected", letters=collected)


@shared_task(name="forget_idempotent_requests")
def forget_idempotent_requests() -> None:
    """Forget the answers to requests that nobody repeats any more."""
    db.write(idempotency.forget)


@shared_task(name="forget_emails")
def forget_emails() -> None:
    """Forget the letters of last month."""
    db.write(outbox.forget)


@shared_task(name="forget_unconfirmed_accounts")
def forget_unconfirmed_accounts() -> None:
    """Forget the accounts of last week whose address nobody confirmed."""
    db.write(users.forget_unconfirmed)
