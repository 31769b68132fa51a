"""E-mails for views: `queue` an e-mail in the transaction that causes it, and `deliver` it after the commit."""

from flask import current_app
from sqlalchemy.orm import Session

from app.accounts import users
from app.database.models import Mail
from app.jobs.celery_app import send
from app.mail.outbox import CONFIRM, EXISTS, LIFETIMES, PASSWORD_CHANGED, RESET

__all__ = ["CONFIRM", "EXISTS", "PASSWORD_CHANGED", "RESET", "deliver", "enabled", "queue"]


def enabled() -> bool:
    """Return whether the application can send e-mails: production without MAIL_URL cannot."""
    return current_app.extensions["mail"] is not None


def queue(session: Session, kind: str, recipient: str) -> Mail:
    """Add an e-mail to the outbox, also for an address without an account."""
    if kind not in LIFETIMES:
        raise LookupError(f"unknown kind of e-mail {kind!r}; known are: {', '.join(LIFETIMES)}")
    email = Mail(kind=kind, recipient=users.normalise_email(recipient))
    session.add(email)
    session.flush()
    return email


def deliver(email_id: int) -> None:
    """Send a queued e-mail by a worker. If no broker accepts the task, a periodic task sends the e-mail later."""
    send("send_email", email_id)
