"""Views for users: search, deactivate, activate, give and remove administrator rights."""

import hashlib
from typing import Any

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts.users import set_rights
from app.admin.blueprint import PAGE, audit, bp, query
from app.database.models import User
from app.extensions import db
from app.web import pages
from app.web.paging import NEWEST, Position

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
    # Identifies the list in page tokens.
    digest = hashlib.sha256(f"users:{text}".encode()).digest()[: len(NEWEST)]
    after = pages.position(digest)
    page = db.read(lambda session: _find(session, text, after, digest), primary=True)
    return render_template("admin/users.html", page=page, text=text, first=after is None)


@bp.post(f"/users/<id:user_id>/<any({', '.join(CHANGES)}):change>")
def change_user(user_id: int, change: str) -> ResponseReturnValue:
    """Change a user's rights and end all sessions."""
    if user_id == current_user.id:
        abort(403, "You cannot change your own rights. Ask another administrator.")
    rights, consequence = CHANGES[change]

    def work(session: Session) -> User | None:
        if user := session.get(User, user_id, with_for_update=True):
            set_rights(user, **rights)
        return user

    if (user := db.write(work)) is None:
        abort(404, "There is no such user.")
    audit(change, user=user_id)
    flash(f"{user.email} {consequence}.", "done")
    return redirect(url_for("admin.users", q=query() or None))


def _find(session: Session, text: str, after: Position | None, digest: bytes) -> dict[str, Any]:
    """Return one page of the users whose address contains a text, and the token of the next page."""
    statement = select(User).order_by(User.id.desc()).limit(PAGE + 1)
    if text:
        statement = statement.where(User.email.contains(text.lower(), autoescape=True))
    if after:
        statement = statement.where(User.id < after.id)
    found = list(session.scalars(statement))
    last = found[PAGE - 1] if len(found) > PAGE else None
    return {"users": found[:PAGE], "next": Position(last.created_at, last.id, digest).token if last else None}
