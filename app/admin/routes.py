"""Views for administrators."""

from __future__ import annotations

from flask import Blueprint, abort, render_template
from flask.typing import ResponseReturnValue
from flask_login import current_user
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app import articles
from app.extensions import db, login_manager
from app.models import ApiKey, User

bp = Blueprint("admin", __name__, url_prefix="/admin")


@bp.before_request
def _only_administrators() -> ResponseReturnValue | None:
    if not current_user.is_authenticated:
        redirect: ResponseReturnValue = login_manager.unauthorized()
        return redirect
    if not current_user.is_admin:
        abort(403, "This page is for administrators.")
    return None


@bp.get("/")
def overview() -> str:
    """Show how much there is of everything."""
    return render_template("admin/overview.html", numbers=db.read(_numbers))


def _numbers(session: Session) -> dict[str, int]:
    return {
        "Articles": articles.count(session),
        "Users": session.scalar(select(func.count()).select_from(User)) or 0,
        "API keys": session.scalar(select(func.count()).select_from(ApiKey).where(ApiKey.revoked_at.is_(None))) or 0,
    }
