"""The blueprint of accounts, and helpers of its views."""

from typing import cast

from flask import Blueprint, abort, current_app, session
from flask_login import login_user

from app.auth import devices
from app.database.models import User
from app.extensions import db
from app.mail import outbox
from app.web.sessions import StoreSessionInterface

bp = Blueprint("auth", __name__, url_prefix="/auth")


def load_user(session_id: str) -> User | None:
    """Return the user of a session, unless the session was ended: then its epoch is lower than the user's.

    A higher epoch is valid: the session is new, and a lagging replica still has the user's old epoch.
    """
    user_id, _, epoch = session_id.partition(".")
    if not user_id.isdecimal() or not epoch.isdecimal():
        return None
    user = db.read(lambda session: session.get(User, int(user_id)))
    return user if user and user.is_active and user.session_epoch <= int(epoch) else None


def begin_session(user: User) -> None:
    """Log a user in with a new session ID, which prevents session fixation."""
    cast("StoreSessionInterface", current_app.session_interface).regenerate(session)
    login_user(user)
    devices.remember(user.email)


def require_mail() -> None:
    """Answer 503 if the application cannot send e-mails."""
    if not outbox.enabled():
        abort(
            503,
            "This site cannot send e-mails, so you cannot sign up or reset a password. Please ask its administrators.",
        )
