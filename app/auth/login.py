"""Views for log-in and log-out."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, logout_user

from app.accounts import users
from app.auth.blueprint import begin_session, bp
from app.auth.forms import LoginForm
from app.auth.throttles import limit_guesses
from app.extensions import db


@bp.route("/login", methods=["GET", "POST"])
@limit_guesses
def login() -> ResponseReturnValue:
    """Show the log-in form; take who sends it right to where they wanted to go."""
    if current_user.is_authenticated:
        return redirect(_target())
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("auth/login.html", form=form)
    email, password = form.email.data or "", form.password.data or ""
    # From the primary: who has just confirmed an address or chosen a password can use it.
    user = db.read(lambda session: users.authenticate(session, email, password), primary=True)
    if user is None:
        flash("E-mail or password is wrong.", "error")
        return render_template("auth/login.html", form=form), 401
    begin_session(user)
    return redirect(_target())


@bp.post("/logout")
@login_required
def logout() -> ResponseReturnValue:
    """End the session, here and in the store."""
    logout_user()
    session.clear()
    return redirect(url_for("main.home"))


def _target() -> str:
    """Return where to go after the log-in: a path of this site, never another site."""
    target = request.args.get("next", "")
    parts = urlsplit(target)
    local = target.startswith("/") and not target.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return target if local else url_for("main.account")
