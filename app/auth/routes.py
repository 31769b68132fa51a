"""Views for log-in and log-out."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Blueprint, current_app, flash, redirect, render_template, request, session, url_for
from flask_login import current_user, login_required, login_user, logout_user
from werkzeug.wrappers import Response

from app import accounts
from app.auth.forms import LoginForm
from app.extensions import db
from app.models import User
from app.sessions import StoreSessionInterface

bp = Blueprint("auth", __name__, url_prefix="/auth")


def load_user(user_id: str) -> User | None:
    """Return the user of a session."""
    user = db.read(lambda session: session.get(User, int(user_id)))
    return user if user and user.is_active else None


@bp.route("/login", methods=["GET", "POST"])
def login() -> str | Response | tuple[str, int]:
    """Show the log-in form; take who sends it right to where they wanted to go."""
    if current_user.is_authenticated:
        return redirect(_target())
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("auth/login.html", form=form)
    email, password = form.email.data or "", form.password.data or ""
    user = db.read(lambda session: accounts.authenticate(session, email, password))
    if user is None:
        flash("E-mail or password is wrong.", "error")
        return render_template("auth/login.html", form=form), 401
    _renew_session()
    login_user(user)
    return redirect(_target())


@bp.post("/logout")
@login_required
def logout() -> Response:
    """End the session, here and in the store."""
    logout_user()
    session.clear()
    return redirect(url_for("main.home"))


def _renew_session() -> None:
    """Give the session a new id: one that somebody planted before the log-in is worth nothing after it."""
    interface = current_app.session_interface
    if isinstance(interface, StoreSessionInterface):
        interface.regenerate(session)


def _target() -> str:
    """Return where to go after the log-in: a path of this site, never another site."""
    target = request.args.get("next", "")
    parts = urlsplit(target)
    local = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if local else url_for("main.account")
