"""The blueprint of administrators' pages: access check and audit log."""

from typing import Any

import structlog
from flask import Blueprint, abort, request
from flask_login import current_user

from app.extensions import login_manager
from app.web import plaintext

bp = Blueprint("admin", __name__, url_prefix="/admin")
log = structlog.get_logger("app.audit")

PAGE = 50
MAX_QUERY_LENGTH = 254


@bp.before_request
def _only_administrators() -> Any:
    if not current_user.is_authenticated:
        return login_manager.unauthorized()
    if not current_user.is_admin:
        abort(403, "This page is for administrators.")
    return None


def audit(action: str, **about: Any) -> None:
    """Log an action of the current administrator."""
    log.info("administrator", action=action, by=current_user.id, **about)


def query() -> str:
    """Return the search text of a list; answer 422 if it is not valid."""
    text = " ".join(request.args.get("q", "").split())
    if text and (fault := plaintext.fault(text, max_length=MAX_QUERY_LENGTH, one_line=True)):
        abort(422, f"This search is not possible. {fault}")
    return text
