"""What the views of accounts have in common."""

from __future__ import annotations

from flask import Blueprint, Response, abort, current_app, make_response, render_template, session
from flask_login import login_user

from app.database.models import User
from app.extensions import db
from app.mail import emails
from app.web.sessions import StoreSessionInterface

bp = Blueprint("auth", __name__, url_prefix="/auth")


def load_user(session_id: str) -> User | None:
    """Return the user of a session, unless it was ended from elsewhere: it was made under an earlier number.

    A later number is good: the session was made after the end of the others, of which a lagging replica has not heard.
    """
    user_id, _, epoch = session_id.partition(".")
    if not user_id.isdecimal() or not epoch.isdecimal():
        return None
    user = db.read(lambda session: session.get(User, int(user_id)))
    return user if user and user.is_active and user.session_epoch <= int(epoch) else None


def begin_session(user: User) -> None:
    """Log a user in, in a session with a new id: one that somebody planted before is worth nothing now."""
    interface = current_app.session_interface
    if isinstance(interface, StoreSessionInterface):
        interface.regenerate(session)
    login_user(user)


def need_mail() -> None:
    """Answer that a page is not available where the application cannot send letters."""
    if not emails.enabled():
        abort(
            503,
            "This site sends no mail, so that nobody can sign up or get a new password here. Please ask its administrators.",
        )


def secret_page(template: str, status: int = 200, **values: object) -> Response:
    """Return a page whose address is a secret: kept nowhere, and told to nobody, not even to the page after it, whose request is logged."""
    response = make_response(render_template(template, **values), status)
    # Not `no-referrer`: browsers would send the form without Referer, and over HTTPS Flask-WTF refuses it then.
    response.headers["Referrer-Policy"] = "strict-origin"
    response.headers["Cache-Control"] = "no-store"
    return response
