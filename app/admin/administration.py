"""Functions for the pages of administrators."""

import hashlib
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.accounts import users
from app.database.models import ApiKey, FailedTask, User
from app.extensions import db
from app.jobs import dead_letters
from app.jobs.dead_letters import DeadLetterError
from app.news import articles
from app.web.paging import NEWEST, Position

# One click sends at most this many tasks again, because the page must answer in time.
MAX_REQUEUED = 100


class AdministrationError(ValueError):
    """A change that is not allowed; the message gives the reason."""


def counts(session: Session) -> dict[str, int]:
    """Return the number of articles, users, keys and failed tasks."""
    return {
        "Articles": articles.count(session),
        "Users": session.scalar(select(func.count()).select_from(User)) or 0,
        "API keys": session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))) or 0,
        "Failed tasks": dead_letters.waiting(session),
    }


def users_digest(query: str) -> bytes:
    """Return the identifier of a list of users in its page tokens."""
    return hashlib.sha256(f"users:{query}".encode()).digest()[: len(NEWEST)]


def find_users(session: Session, query: str, *, after: Position | None, limit: int) -> dict[str, Any]:
    """Return one page of the users whose address contains a text, newest first, and the token of the next page."""
    statement = select(User).order_by(User.id.desc()).limit(limit + 1)
    if query:
        statement = statement.where(User.email.contains(query.lower(), autoescape=True))
    if after:
        statement = statement.where(User.id < after.id)
    found = list(session.scalars(statement))
    last = found[limit - 1] if len(found) > limit else None
    following = Position(last.created_at, last.id, users_digest(query)).token if last else None
    return {"users": found[:limit], "next": following}


def change_user(session: Session, user_id: int, *, by: int, **rights: bool) -> User | None:
    """Change a user's rights and end all sessions; return the user, or None if there is no such user."""
    if user_id == by:
        raise AdministrationError("You cannot change your own rights. Ask another administrator.")
    user = session.get(User, user_id, with_for_update=True)
    if user is not None:
        users.set_rights(user, **rights)
    return user


def requeue_all() -> tuple[int, str | None]:
    """Send the oldest failed tasks again; return how many were sent, and the last error."""
    waiting = select(FailedTask.id).where(FailedTask.requeued_at.is_(None)).order_by(FailedTask.id).limit(MAX_REQUEUED)
    sent, refused = 0, None
    for dead_letter_id in db.read(lambda session: list(session.scalars(waiting)), primary=True):
        try:
            sent += dead_letters.requeue(dead_letter_id)
        except DeadLetterError as error:
            refused = str(error)
    return sent, refused
