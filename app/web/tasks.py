"""The periodic task of idempotency keys."""

from celery import shared_task

from app.extensions import db
from app.web import idempotency


@shared_task(name="forget_idempotent_requests")
def forget_idempotent_requests() -> None:
    """Delete old idempotency keys."""
    db.write(idempotency.delete_old)
