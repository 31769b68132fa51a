"""Views for new accounts: whoever signs up learns nothing of an address, and logs in when its owner has confirmed it."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.accounts import tokens, users
from app.auth.blueprint import begin_session, bp, need_mail, secret_page
from app.auth.forms import ConfirmForm, SignupForm
from app.auth.throttles import limit_guesses, limit_letters
from app.database.models import User
from app.extensions import db
from app.mail import emails
from app.web.read_your_writes import pin_to_primary

EXPIRED = "This link was used already, or is too old. If you cannot log in, sign up again."


@bp.route("/signup", methods=["GET", "POST"])
@limit_letters
def signup() -> ResponseReturnValue:
    """Take a name, an address and a password, and send a letter to the address."""
    need_mail()
    form = SignupForm()
    if not form.is_submitted():
        return render_template("auth/signup.html", form=form)
    if not form.validate():
        return render_template("auth/signup.html", form=form), 422
    email, name = users.normalise_email(form.email.data or ""), form.name.data or ""
    # Hashed in any case, and before the transaction: it takes as long for an address that is taken.
    password_hash = users.hash_password(form.password.data or "")

    def sign_up(session: Session) -> int:
        kind = users.sign_up(session, email=email, name=name, password_hash=password_hash)
        return emails.post(session, kind, email).id

    try:
        letter = db.write(sign_up)
    except IntegrityError:
        # Somebody signed up with the same address in this very moment, and got the letter.
        pass
    else:
        emails.deliver(letter)
    return render_template("auth/sent.html", title="Nearly done", email=email)


@bp.route("/confirm/<token>", methods=["GET", "POST"])
@limit_guesses
def confirm(token: str) -> ResponseReturnValue:
    """Ask who follows the link for the password, and let them in: the link alone proves the mailbox, not who signed up."""
    user = db.read(lambda session: tokens.find_user(session, "confirm", token), primary=True)
    if user is None:
        abort(410, EXPIRED)
    form = ConfirmForm()
    if not form.validate_on_submit():
        return secret_page("auth/confirm.html", form=form, email=user.email)
    if not users.is_password_of(user, form.password.data or ""):
        flash("This is not the password that you signed up with. Try again, or sign up anew.", "error")
        return secret_page("auth/confirm.html", 401, form=form, email=user.email)
    compared = user.password_hash
    confirmed = db.write(lambda session: _confirm(session, token, compared))
    if confirmed is None:
        abort(410, EXPIRED)
    pin_to_primary()
    begin_session(confirmed)
    flash("Welcome. Your desk is where you write.", "done")
    return redirect(url_for("desk.overview"))


def _confirm(session: Session, token: str, compared: str) -> User | None:
    """Confirm the account unless somebody has signed up for it anew since the password was compared: then it has another one."""
    user = tokens.find_user(session, tokens.CONFIRM, token, lock=True)
    if user is None or user.password_hash != compared:
        return None
    users.confirm(user)
    return user
