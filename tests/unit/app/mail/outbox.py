"""Helpers for tests of the outbox."""

from __future__ import annotations

from datetime import timedelta
from email.message import EmailMessage
from typing import Any

from flask import Flask
from sqlalchemy import func, select

from app.database.models import FailedTask, Mail, now
from app.extensions import db
from app.mail import emails


def queue(kind: str, recipient: str, age: timedelta = timedelta()) -> int:
    """Add an e-mail of some age to the outbox; return its ID."""

    def work(session: Any) -> Mail:
        email = emails.queue(session, kind, recipient)
        email.created_at = now() - age
        return email

    return db.write(work).id


def sent(email_id: int) -> bool:
    """Whether an e-mail was sent."""
    return db.read(lambda session: session.get_one(Mail, email_id)).sent_at is not None


def deliver(kind: str, recipient: str) -> bool:
    """Queue an e-mail and deliver it; return whether it was sent."""
    email_id = queue(kind, recipient)
    emails.deliver(email_id)
    return sent(email_id)


def failures() -> int:
    """The number of dead letters."""
    return db.read(lambda session: session.scalar(select(func.count()).select_from(FailedTask)) or 0)


class Relay:
    """A transport that raises the given errors first, then accepts every e-mail."""

    def __init__(self, app: Flask, *answers: Exception) -> None:
        self.answers = list(answers)
        self.taken: list[EmailMessage] = []
        app.extensions["mail"] = self

    def __call__(self, message: EmailMessage) -> None:
        """Send an e-mail."""
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append(message)
