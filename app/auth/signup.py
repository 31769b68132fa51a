"""Views for new accounts. The response is the same for known and unknown addresses; only the e-mail differs."""

from contextlib import suppress

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import tokens, users
from app.auth.blueprint import begin_session, bp, require_mail
from app.auth.forms import ConfirmForm, SignupForm
from app.auth.throttles import guess, limit_emails
from app.database.models import User
from app.extensions import db
from app.mail import outbox
from app.web.read_your_writes import mark_writer

EXPIRED = "This link has been used or has expired. If you cannot log in, sign up again."


@bp.route("/signup", methods=["GET", "POST"])
def signup() -> ResponseReturnValue:
    """Create an unconfirmed account and send an e-mail to its address."""
    require_mail()
    form = SignupForm()
    if not form.validate_on_submit():
        return render_template("auth/signup.html", form=form), 422 if form.errors else 200
    email, name = users.normalise_email(form.email.data or ""), form.name.data or ""
    limit_emails("signup", email)
    # Hashed for every address, so that a known one takes as long as a new one. Hashed before the transaction, because
    # it is slow.
    password_hash = users.hash_password(form.password.data or "")

    def sign_up(session: Session) -> int:
        kind = users.sign_up(session, email=email, name=name, password_hash=password_hash)
        return outbox.queue(session, kind, email).id

    # A concurrent sign-up with the same address sends the e-mail.
    with suppress(IntegrityError):
        outbox.deliver(db.write(sign_up))
    return render_template("auth/sent.html", title="Nearly done", email=email)


@bp.route("/confirm/<token>", methods=["GET", "POST"])
def confirm(token: str) -> ResponseReturnValue:
    """Confirm an account by link and password: the link proves the address, the password proves who signed up."""
    user = db.read(lambda session: tokens.find_user(session, "confirm", token), primary=True)
    if user is None:
        abort(410, EXPIRED)
    form = ConfirmForm()
    if not form.validate_on_submit():
        return render_template("auth/confirm.html", form=form, email=user.email)
    if not guess(user.email, lambda: users.is_password_of(user, form.password.data or "")):
        flash("This is not the password that you signed up with. Try it again, or sign up again.", "error")
        return render_template("auth/confirm.html", form=form, email=user.email), 401
    confirmed = db.write(lambda session: _confirm(session, token, user.password_hash))
    if confirmed is None:
        abort(410, EXPIRED)
    mark_writer()
    begin_session(confirmed)
    flash("Welcome. This is your desk, where you write articles.", "done")
    return redirect(url_for("desk.overview"))


def _confirm(session: Session, token: str, checked_hash: str) -> User | None:
    """Confirm the account, unless another sign-up has replaced the password that was checked."""
    user = tokens.find_user(session, tokens.CONFIRM, token, lock=True)
    if user is None or user.password_hash != checked_hash:
        return None
    users.confirm(user)
    return user
