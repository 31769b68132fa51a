"""The task of idempotent requests."""

from __future__ import annotations

from celery import shared_task

from app.extensions import db
from app.web import idempotency


@shared_task(name="forget_idempotent_requests")
def forget_idempotent_requests() -> None:
    """Forget the answers to requests that nobody repeats any more."""
    db.write(idempotency.forget)
