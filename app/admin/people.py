"""Views for users: search, deactivate, activate, give and remove administrator rights."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.admin import administration
from app.admin.administration import AdministrationError
from app.admin.blueprint import PAGE, audit, bp, query
from app.extensions import db
from app.web import pages

# For each button: the new values, and the message.
CHANGES = {
    "activate": ({"is_active": True}, "can log in again"),
    "deactivate": ({"is_active": False}, "is logged out everywhere and cannot log in any more"),
    "promote": ({"is_admin": True}, "is now an administrator and must log in again"),
    "demote": ({"is_admin": False}, "is not an administrator any more and must log in again"),
}


@bp.get("/users")
def users() -> str:
    """Show one page of users, newest first."""
    text = query()
    after = pages.position(administration.users_digest(text))
    page = db.read(lambda session: administration.find_users(session, text, after=after, limit=PAGE), primary=True)
    return render_template("admin/users.html", page=page, text=text, first=after is None)


@bp.post(f"/users/<id:user_id>/<any({', '.join(CHANGES)}):change>")
def change_user(user_id: int, change: str) -> ResponseReturnValue:
    """Change a user's rights."""
    flags, consequence = CHANGES[change]
    try:
        user = db.write(lambda session: administration.change_user(session, user_id, by=current_user.id, **flags))
    except AdministrationError as error:
        abort(403, str(error))
    if user is None:
        abort(404, "There is no such user.")
    audit(change, user=user_id)
    flash(f"{user.email} {consequence}.", "done")
    return redirect(url_for("admin.users", q=query() or None))
