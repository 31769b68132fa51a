"""Errors: application/problem+json (RFC 9457) from the API, a page from the site."""

from collections.abc import Iterator
from typing import Any

import structlog
from flask import Flask, Response, current_app, g, json, render_template, request
from werkzeug.exceptions import BadHost, HTTPException, InternalServerError, ServiceUnavailable

from app.database.engine import UNAVAILABLE
from app.redis.store import StoreUnavailableError

PROBLEM_JSON = "application/problem+json"
API_PREFIX = "/api/"
# Seconds for Retry-After. A failover takes longer, but the clients should not all retry at its end.
RETRY_AFTER = 2
log = structlog.get_logger(__name__)


def init_app(app: Flask) -> None:
    """Register the error handlers."""
    app.register_error_handler(HTTPException, answer)
    for kind in (*UNAVAILABLE, StoreUnavailableError):
        app.register_error_handler(kind, _unavailable)
    app.register_error_handler(Exception, _unexpected)


def answer(error: HTTPException) -> Response:
    """Return the response of an HTTP error."""
    if error.response is not None:
        return current_app.make_response(error.response)
    status = error.code or 500
    if request.path.startswith(API_PREFIX):
        response = Response(json.dumps(_problem(error, status)), status, content_type=PROBLEM_JSON)
    elif isinstance(error, BadHost):
        # Without a valid host no URL can be built, so there is no page.
        response = Response(f"{error.description}\n", status, mimetype="text/plain")
    else:
        response = Response(
            render_template("error.html", status=status, title=error.name, detail=error.description), status
        )
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    response.headers.extend(getattr(error, "data", {}).get("headers", {}))
    response.headers["Cache-Control"] = "no-store"
    return response


def _problem(error: HTTPException, status: int) -> dict[str, Any]:
    problem: dict[str, Any] = {
        "type": "about:blank",
        "title": error.name,
        "status": status,
        "request_id": g.get("request_id", ""),
    }
    data = getattr(error, "data", None) or {}
    if detail := data.get("message") or error.description:
        problem["detail"] = detail
    if messages := data.get("messages"):
        problem["errors"] = list(_fields(messages))
        problem["detail"] = "Some fields of the request are not valid; see errors."
    return problem


def _fields(messages: dict[str, Any]) -> Iterator[dict[str, str]]:
    for location, found in messages.items():
        fields = found if isinstance(found, dict) else {"": found}
        for field, details in fields.items():
            for detail in details if isinstance(details, list) else [str(details)]:
                yield {"location": location, "field": str(field), "detail": str(detail)}


def _unavailable(error: Exception) -> Response:
    log.error("service unavailable", kind=type(error).__name__, error=str(error).split("\n", 1)[0])
    return answer(
        ServiceUnavailable(
            "A server behind this site does not answer. Please try again in a moment.", retry_after=RETRY_AFTER
        )
    )


def _unexpected(error: Exception) -> Response:
    log.exception("unexpected error", exc_info=error)
    return answer(InternalServerError("Something went wrong on our side. The error has been logged."))
