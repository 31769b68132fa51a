"""The periodic task of accounts."""

from celery import shared_task

from app.accounts import users
from app.extensions import db


@shared_task(name="forget_unconfirmed_accounts")
def forget_unconfirmed_accounts() -> None:
    """Delete accounts whose address was not confirmed in time."""
    db.write(users.delete_unconfirmed)
