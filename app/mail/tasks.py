"""The tasks of e-mails."""

from __future__ import annotations

from typing import Any

import structlog
from celery import shared_task

from app.database.models import now
from app.extensions import db
from app.jobs import dead_letters, retry
from app.mail import outbox
from app.mail.relay import DeferredError, RelayError

log = structlog.get_logger(__name__)

# Slower: a relay may be away for longer, or want a stranger to come again.
RETRY_MAIL: Any = retry.RETRY | {
    "autoretry_for": (*retry.TRANSIENT, RelayError, DeferredError),
    "retry_backoff": 5,
    "retry_backoff_max": 300,
    # Expected: `send_forgotten_emails` tries again for as long as the e-mail is worth sending.
    "throws": (RelayError, DeferredError),
}


@shared_task(name="send_email", **RETRY_MAIL)
def send_email(letter_id: int) -> None:
    """Send a letter of the outbox."""
    outbox.send(letter_id)


@shared_task(name="send_forgotten_emails")
def send_forgotten_emails() -> None:
    """Send what waits in the outbox since no broker took its task, or no relay the letter."""
    before = now() - retry.LOST_AFTER
    for letter_id in db.read(lambda session: outbox.unsent(session, before=before), primary=True):
        try:
            outbox.send(letter_id)
        except RelayError as error:
            log.warning("letters wait", reason=str(error))
            return
        except DeferredError as error:
            log.info("letter waits", letter=letter_id, reason=str(error))
        except retry.TRANSIENT:
            raise
        except Exception as error:
            log.exception("letter not sent", letter=letter_id)
            dead_letters.record(
                dead_letters.write(send_email.name, f"forgotten-email-{letter_id}", [letter_id], {}, error)
            )


@shared_task(name="forget_emails")
def forget_emails() -> None:
    """Forget the letters of last month."""
    db.write(outbox.forget)
