"""Views for log-in and log-out."""

import re

from flask import flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required, logout_user

from app.accounts import old_addresses, users
from app.auth.blueprint import begin_session, bp
from app.auth.forms import LoginForm
from app.auth.throttles import guess
from app.extensions import db

# Browsers treat a backslash as a slash and skip control characters. A header must not contain those.
LOCAL_PATH = re.compile(r"/(?![/\\])[^\x00-\x1f\x7f]*")


@bp.route("/login", methods=["GET", "POST"])
def login() -> ResponseReturnValue:
    """Log a user in, and redirect to the page that required it."""
    if current_user.is_authenticated:
        return redirect(_target())
    form = LoginForm()
    if not form.validate_on_submit():
        return render_template("auth/login.html", form=form)
    email, password = form.email.data or "", form.password.data or ""
    if old_addresses.old_form(email):
        email = db.read(lambda session: old_addresses.of_account(session, email), primary=True)
    # From the primary, because the user may have confirmed the address or changed the password just now.
    user = guess(email, lambda: db.read(lambda session: users.authenticate(session, email, password), primary=True))
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
    # A session that is completely empty is deleted.
    session.pop("_permanent", None)
    return redirect(url_for("main.home"))


def _target() -> str:
    """Return the path to redirect to after the log-in, never a URL of another site."""
    target = request.args.get("next", "")
    return target if LOCAL_PATH.fullmatch(target) else url_for("main.account")
