"""Views for forgotten passwords."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.orm import Session

from app.accounts import tokens, users
from app.auth import devices
from app.auth.blueprint import bp, require_mail
from app.auth.forms import AddressForm, NewPasswordForm
from app.auth.throttles import limit_emails
from app.extensions import db
from app.mail import outbox
from app.web.read_your_writes import mark_writer

EXPIRED = "This link has been used or has expired. Request a new one."


@bp.route("/reset", methods=["GET", "POST"])
def forgotten() -> ResponseReturnValue:
    """Send a reset link to an address.

    Only the worker looks up the account, so the answer is the same for all addresses.
    """
    require_mail()
    form = AddressForm()
    if not form.validate_on_submit():
        return render_template("auth/forgotten.html", form=form), 422 if form.errors else 200
    email = users.normalise_email(form.email.data or "")
    limit_emails("reset", email)
    outbox.deliver(db.write(lambda session: outbox.queue(session, "reset", email).id))
    return render_template("auth/sent.html", title="Check your e-mail", email=email)


@bp.route("/reset/<token>", methods=["GET", "POST"])
def reset(token: str) -> ResponseReturnValue:
    """Set a new password by a link that works once, and end all sessions and API keys of the account."""
    owner = db.read(lambda session: tokens.find_user(session, "reset", token), primary=True)
    if owner is None:
        abort(410, EXPIRED)
    form = NewPasswordForm()
    if not form.validate_on_submit():
        return render_template("auth/reset.html", form=form), 422 if form.errors else 200
    password_hash = users.hash_password(form.password.data or "")

    def change(session: Session) -> int | None:
        if (user := tokens.find_user(session, "reset", token, lock=True)) is None:
            return None
        users.reset_password(session, user, password_hash)
        return outbox.queue(session, "password_changed", user.email).id

    email_id = db.write(change)
    if email_id is None:
        abort(410, EXPIRED)
    outbox.deliver(email_id)
    mark_writer()
    # So that the owner can log in while strangers guess.
    devices.remember(owner.email)
    flash("Your password is changed. Log in with the new one.", "done")
    return redirect(url_for("auth.login"))
