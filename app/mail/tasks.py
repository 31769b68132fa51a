"""The tasks of e-mails."""

from typing import Any

import structlog
from celery import shared_task

from app.database.models import now
from app.extensions import db
from app.jobs import dead_letters, retry
from app.mail import outbox
from app.mail.relay import DeferredError, RelayError

log = structlog.get_logger(__name__)

# Slower retries, because a relay can be down for long, or use greylisting.
RETRY_MAIL: Any = retry.RETRY | {
    "autoretry_for": (*retry.TRANSIENT, RelayError, DeferredError),
    "retry_backoff": 5,
    "retry_backoff_max": 300,
    # Expected: `send_forgotten_emails` tries again until the e-mail has expired.
    "throws": (RelayError, DeferredError),
}


@shared_task(name="send_email", **RETRY_MAIL)
def send_email(email_id: int) -> None:
    """Send an e-mail from the outbox."""
    outbox.send(email_id)


@shared_task(name="send_forgotten_emails")
def send_forgotten_emails() -> None:
    """Send e-mails whose task was lost or that the relay did not accept."""
    before = now() - retry.LOST_AFTER
    for email_id in db.read(lambda session: outbox.unsent(session, before=before), primary=True):
        try:
            outbox.send(email_id)
        except RelayError as error:
            log.warning("e-mails wait", reason=str(error))
            return
        except DeferredError as error:
            log.info("e-mail waits", email_id=email_id, reason=str(error))
        except retry.NOT_OF_ONE_ELEMENT:
            raise
        except Exception as error:
            log.exception("e-mail not sent", email_id=email_id)
            dead_letters.record(
                dead_letters.write(send_email.name, f"forgotten-email-{email_id}", [email_id], {}, error)
            )


@shared_task(name="forget_emails")
def forget_emails() -> None:
    """Delete e-mails that are older than a month."""
    db.write(outbox.delete_old)
