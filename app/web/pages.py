"""What the pages of several blueprints share."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

import msgspec
from flask import Flask, Response, abort, current_app, make_response, render_template, request
from flask_wtf import FlaskForm
from flask_wtf.csrf import CSRFError

from app.redis.cache import Cached
from app.web import problems
from app.web.paging import NEWEST, Position, TokenError

_PARAGRAPH_END = re.compile(r"\n\s*\n")


class PlainForm(FlaskForm):
    """A form without fields: a button, and the token that proves where it was pressed."""


def init_app(app: Flask) -> None:
    """Give templates what all of them use."""
    app.add_template_filter(day)
    app.add_template_filter(moment)
    app.add_template_filter(written)
    app.add_template_filter(paragraphs)
    app.context_processor(_site)
    app.register_error_handler(CSRFError, refuse_forged)


def day(time: str | datetime) -> str:
    """Write a day as readers do."""
    date = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{date.day} {date:%B %Y}"


def moment(time: datetime) -> str:
    """Write a moment to the second, as logs do."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def written(value: Any) -> str:
    """Write a value as it stands in JSON, to be read: `tojson` escapes for scripts."""
    return json.dumps(value, ensure_ascii=False)


def paragraphs(content: str) -> list[str]:
    """Split plain text where lines are empty."""
    return _PARAGRAPH_END.split(content.strip())


def position(of: bytes = NEWEST) -> Position | None:
    """Return where the page that was asked for begins; answer 404 where this list has no such page."""
    if not (token := request.args.get("after")):
        return None
    try:
        return Position.from_token(token, of)
    except TokenError:
        abort(404, "There is no such page.")


def render(template: str, cached: Cached, **values: Any) -> Response:
    """Render a page from cached JSON, and say how it was found."""
    response = make_response(render_template(template, **values))
    response.headers["X-Cache"] = cached.outcome
    return response


def load(cached: Cached) -> Any:
    """Return what cached JSON says."""
    return msgspec.json.decode(cached.body)


def refuse_forged(error: CSRFError) -> Response:
    """Answer to a form whose token is missing, forged, or of another session."""
    error.description = (
        "This form is not of your session. Log in again if you were logged out, load the page and send it once more."
    )
    return problems.answer(error)


def _site() -> dict[str, Any]:
    return {"site_name": current_app.config["SITE_NAME"], "release": current_app.config["APP_RELEASE"]}
