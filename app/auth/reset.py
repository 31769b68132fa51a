"""Views for forgotten passwords."""

from __future__ import annotations

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.accounts import tokens, users
from app.auth.blueprint import bp, need_mail, secret_page
from app.auth.forms import AddressForm, NewPasswordForm
from app.auth.throttles import limit_letters
from app.extensions import db
from app.mail import emails
from app.web.read_your_writes import pin_to_primary

EXPIRED = "This link was used already, or is too old. Ask for another one."


@bp.route("/reset", methods=["GET", "POST"])
@limit_letters
def forgotten() -> ResponseReturnValue:
    """Send a letter to an address. Whether it has an account is looked up by the worker: here all addresses are the same."""
    need_mail()
    form = AddressForm()
    if not form.is_submitted():
        return render_template("auth/forgotten.html", form=form)
    if not form.validate():
        return render_template("auth/forgotten.html", form=form), 422
    email = users.normalise_email(form.email.data or "")
    emails.deliver(db.write(lambda session: emails.post(session, "reset", email).id))
    return render_template("auth/sent.html", title="Look into your mailbox", email=email)


@bp.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> ResponseReturnValue:
    """Take a new password from who follows the link, once, and end every session of the account."""
    if db.read(lambda session: tokens.find_user(session, "reset", token), primary=True) is None:
        abort(410, EXPIRED)
    form = NewPasswordForm()
    if not form.is_submitted():
        return secret_page("auth/reset.html", form=form)
    if not form.validate():
        return secret_page("auth/reset.html", 422, form=form)
    password_hash = users.hash_password(form.password.data or "")

    def change(session: Session) -> int | None:
        if (user := tokens.find_user(session, "reset", token, lock=True)) is None:
            return None
        users.set_password(user, password_hash)
        # The letter came to this address.
        users.confirm(user)
        return emails.post(session, "password_changed", user.email).id

    letter = db.write(change)
    if letter is None:
        abort(410, EXPIRED)
    emails.deliver(letter)
    pin_to_primary()
    flash("Your password is changed. Log in with the new one.", "done")
    return redirect(url_for("auth.login"))
