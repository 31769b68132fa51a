"""The blueprint: who may enter, and what is written down of what they do."""

from __future__ import annotations

from typing import Any

import structlog
from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue
from flask_login import current_user

from app.extensions import login_manager
from app.web import plaintext

bp = Blueprint("admin", __name__, url_prefix="/admin")
log = structlog.get_logger("app.audit")

PAGE = 50
LONGEST_QUERY = 254


@bp.before_request
def _only_administrators() -> ResponseReturnValue | None:
    if not current_user.is_authenticated:
        redirect: ResponseReturnValue = login_manager.unauthorized()
        return redirect
    if not current_user.is_admin:
        abort(403, "This page is for administrators.")
    return None


def audit(action: str, **about: Any) -> None:
    """Write down what an administrator has done."""
    log.info("administrator", action=action, by=current_user.id, **about)


def query() -> str:
    """Return what a list is searched for; answer 422 where that cannot be."""
    text = " ".join(request.args.get("q", "").split())
    if text and (fault := plaintext.fault(text, longest=LONGEST_QUERY, one_line=True)):
        abort(422, f"This cannot be searched for. {fault}")
    return text
