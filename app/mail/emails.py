"""Letters as pages see them: `post` one in the transaction that it is about, `deliver` it after the commit."""

from __future__ import annotations

from flask import current_app
from sqlalchemy.orm import Session

from app.accounts import users
from app.database.models import Mail
from app.jobs.celery_app import send
from app.mail.outbox import CONFIRM, EXISTS, LIVES, PASSWORD_CHANGED, RESET

__all__ = ["CONFIRM", "EXISTS", "PASSWORD_CHANGED", "RESET", "deliver", "enabled", "post"]


def enabled() -> bool:
    """Return whether letters leave at all: production without MAIL_URL has no relay."""
    return current_app.extensions["mail"] is not None


def post(session: Session, kind: str, recipient: str) -> Mail:
    """Add a letter to the outbox, whether the address has an account or not."""
    if kind not in LIVES:
        raise LookupError(f"there is no kind of letter {kind!r}")
    letter = Mail(kind=kind, recipient=users.normalise_email(recipient))
    session.add(letter)
    session.flush()
    return letter


def deliver(letter_id: int) -> None:
    """Have a worker send a letter. One that no broker takes is found again in the outbox."""
    send("send_email", letter_id)
