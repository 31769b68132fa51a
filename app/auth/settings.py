"""Views for users' changes to their own accounts."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user, login_required
from sqlalchemy.orm import Session

from app.accounts import users
from app.auth.blueprint import begin_session, bp
from app.auth.forms import ChangePasswordForm, NameForm
from app.auth.throttles import guess
from app.database.models import User
from app.extensions import db
from app.mail import outbox
from app.news import articles
from app.web.read_your_writes import mark_writer


@bp.route("/password", methods=["GET", "POST"])
@login_required
def change_password() -> ResponseReturnValue:
    """Change the password and end the user's other sessions."""
    form = ChangePasswordForm()
    if not form.validate_on_submit():
        return render_template("auth/password.html", form=form), 422 if form.errors else 200
    if not guess(current_user.email, lambda: users.is_password_of(current_user, form.present.data or "")):
        form.present.errors = ["This is not your current password."]
        return render_template("auth/password.html", form=form), 401
    password_hash = users.hash_password(form.password.data or "")

    def change(session: Session) -> tuple[User, int]:
        user = session.get_one(User, current_user.id, with_for_update=True)
        users.set_password(user, password_hash)
        return user, outbox.queue(session, "password_changed", user.email).id

    user, email_id = db.write(change)
    outbox.deliver(email_id)
    mark_writer()
    begin_session(user)
    flash("Your password is changed, and you are logged out everywhere else.", "done")
    return redirect(url_for("main.account"))


@bp.route("/name", methods=["GET", "POST"])
@login_required
def change_name() -> ResponseReturnValue:
    """Change the name that readers see."""
    form = NameForm(obj=current_user)
    if not form.validate_on_submit():
        return render_template("auth/name.html", form=form), 422 if form.errors else 200

    def change(session: Session) -> None:
        session.get_one(User, current_user.id).name = form.name.data or ""

    db.write(change)
    # Lists contain names. Cached articles show the new name after some seconds, when they expire.
    articles.invalidate()
    mark_writer()
    flash("Your name is changed.", "done")
    return redirect(url_for("main.account"))


@bp.post("/logout-everywhere")
@login_required
def logout_everywhere() -> ResponseReturnValue:
    """End all sessions of the user except this one."""

    def end(session: Session) -> User:
        user = session.get_one(User, current_user.id, with_for_update=True)
        user.session_epoch += 1
        return user

    user = db.write(end)
    mark_writer()
    begin_session(user)
    flash("You are logged out everywhere else.", "done")
    return redirect(url_for("main.account"))
