"""Helpers and template filters that several blueprints share."""

import json
import re
from datetime import datetime
from typing import Any

import msgspec
from flask import Flask, Response, abort, current_app, make_response, render_template, request
from flask_wtf.csrf import CSRFError

from app.redis.cache import Cached
from app.web import problems
from app.web.forms import Form
from app.web.paging import NEWEST, Position, TokenError

_PARAGRAPH_END = re.compile(r"\n\s*\n")


class PlainForm(Form):
    """A form with only a button and a CSRF token."""


def init_app(app: Flask) -> None:
    """Add template filters, template variables and the CSRF error handler."""
    for template_filter in (day, moment, written, paragraphs):
        app.add_template_filter(template_filter)
    app.context_processor(_site)
    app.register_error_handler(CSRFError, refuse_forged)


def day(time: str | datetime) -> str:
    """Format a day: 9 November 2026."""
    date = datetime.fromisoformat(time) if isinstance(time, str) else time
    return f"{date.day} {date:%B %Y}"


def moment(time: datetime) -> str:
    """Format a time to the second: 2026-11-09 08:30:00 UTC."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def written(value: Any) -> str:
    """Format a value as readable JSON. `tojson` escapes characters for scripts."""
    return json.dumps(value, ensure_ascii=False)


def paragraphs(content: str) -> list[str]:
    """Split plain text at empty lines."""
    return _PARAGRAPH_END.split(content.strip())


def position(of: bytes = NEWEST) -> Position | None:
    """Return the position of the requested page; answer 404 if the token is not of this list."""
    if not (token := request.args.get("after")):
        return None
    try:
        return Position.from_token(token, of)
    except TokenError:
        abort(404, "There is no such page.")


def render(template: str, cached: Cached, **values: Any) -> Response:
    """Render a page from cached JSON, with the cache's outcome in a header."""
    response = make_response(render_template(template, **values))
    response.headers["X-Cache"] = cached.outcome
    return response


def load(cached: Cached) -> Any:
    """Decode cached JSON."""
    return msgspec.json.decode(cached.body)


def refuse_forged(error: CSRFError) -> Response:
    """Answer a form whose CSRF token is missing, forged, or of another session."""
    error.description = (
        "This form does not belong to your session. Log in again if necessary, reload the page and send the form again."
    )
    return problems.answer(error)


def _site() -> dict[str, Any]:
    return {"site_name": current_app.config["SITE_NAME"], "release": current_app.config["APP_RELEASE"]}
