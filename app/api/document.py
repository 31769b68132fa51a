"""The OpenAPI document: its description, headers and error responses."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

import marshmallow as ma
from flask import Flask
from flask_smorest import Api

from app.web import urls
from app.web.problems import PROBLEM_JSON

View = TypeVar("View", bound=Callable[..., Any])

DESCRIPTION = """\
The articles of this site as JSON. Everybody may read them. Writing needs an API key as a bearer token.

Lists have pages: send the `next` of one page as `after` to get the following page. Errors are
`application/problem+json` (RFC 9457) and name each wrong field. Use the `ETag` with `If-None-Match` in reads, and with
`If-Match` in changes: then you cannot overwrite a change that you have not seen. A POST with an `Idempotency-Key` is
safe to retry. Requests with a key are rate-limited, see `RateLimit-*`. The load balancer limits reads without a key.
"""
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema}


HEADERS = {
    "X-Request-Id": _header("Id of this request in the logs", type="string"),
    "X-Cache": _header("Whether the response was cached", type="string", enum=["hit", "miss", "stale"]),
    "ETag": _header("Changes with the body; the ETag of an article begins with its version", type="string"),
    "Location": _header("URL of the article", type="string", format="uri-reference"),
    "Idempotency-Replayed": _header("This is the response to an earlier request", type="string", const="true"),
    "WWW-Authenticate": _header("How to authenticate", type="string"),
    "Retry-After": _header("Seconds to wait", type="integer", minimum=0),
    "RateLimit-Limit": _header("Allowed requests in a window; only for requests with a key", type="integer", minimum=1),
    "RateLimit-Remaining": _header("Remaining requests in the window", type="integer", minimum=0),
    "RateLimit-Reset": _header("Seconds until the next window", type="integer", minimum=0),
}
# The meaning of each error status, and its headers.
PROBLEMS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The body is not JSON", ()),
    401: ("The API key is missing or not valid", ("WWW-Authenticate",)),
    403: ("The key lacks the scope, or the article belongs to another user", ("WWW-Authenticate",)),
    404: ("The article does not exist", ()),
    412: ("The current version of the article is not the one in If-Match", ()),
    413: ("The body is too large", ()),
    415: ("The content type is not application/json", ()),
    422: ("A field is wrong or unknown; `errors` names it", ()),
    429: ("Too many requests", ("Retry-After", *LIMITS)),
    503: ("A database or another server does not answer", ("Retry-After",)),
}


class FieldErrorSchema(ma.Schema):
    """A wrong field of a request."""

    location = ma.fields.String(
        metadata={"description": "Part of the request: query, json, headers or path", "example": "json"}
    )
    field = ma.fields.String(metadata={"description": "Name of the field", "example": "title"})
    detail = ma.fields.String(metadata={"description": "What is wrong with the field", "example": "Must not be blank."})


class ProblemSchema(ma.Schema):
    """An error (RFC 9457)."""

    type = ma.fields.String(
        metadata={"description": "Always about:blank, because the status shows the kind of problem"}
    )
    title = ma.fields.String(required=True, metadata={"description": "The status in words"})
    status = ma.fields.Integer(required=True, metadata={"description": "The HTTP status"})
    detail = ma.fields.String(metadata={"description": "Explanation of the problem"})
    errors = ma.fields.List(
        ma.fields.Nested(FieldErrorSchema), metadata={"description": "The wrong fields of the request"}
    )
    request_id = ma.fields.String(metadata={"description": "Id of this request in the logs"})


class ProblemApi(Api):
    """Flask-smorest with problem+json in its document. app.web.problems creates the error responses."""

    ERROR_SCHEMA = ProblemSchema
    # A default response would document statuses that do not exist.
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_responses(self) -> None:
        for status, (description, headers) in PROBLEMS.items():
            phrase = HTTPStatus(status)
            example = {
                "type": "about:blank",
                "title": phrase.phrase,
                "status": status,
                "detail": f"{description}.",
                "request_id": "5f2c…",
            }
            component = {
                "description": description,
                "headers": header_refs("X-Request-Id", *headers),
                "content": {PROBLEM_JSON: {"schema": ProblemSchema, "example": example}},
            }
            self.spec.components.response(phrase.name, component, lazy=True)

    def _register_error_handlers(self) -> None:
        """Do nothing: app.web.problems handles errors."""


def make_api(app: Flask) -> ProblemApi:
    """Create the API."""
    api = ProblemApi(
        app, spec_kwargs={"info": {"description": DESCRIPTION, "license": {"name": "MIT", "identifier": "MIT"}}}
    )
    api.register_converter(urls.IdConverter, urls.describe)
    api.spec.components.security_scheme(
        "key", {"type": "http", "scheme": "bearer", "description": "An API key, as `PREFIX.SECRET`"}
    )
    for name, header in HEADERS.items():
        api.spec.components.header(name, header)
    return api


def header_refs(*names: str) -> dict[str, dict[str, str]]:
    """Return references to the documented headers of these names."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def operation(
    bp: Any, *problems: int, needs_key: bool = False, header: dict[str, Any] | None = None
) -> Callable[[View], View]:
    """Document the error responses of a view, whether it needs a key, and a header that it reads."""

    def decorate(view: View) -> View:
        for status in problems:
            view = bp.alt_response(status, HTTPStatus(status).name)(view)
        view = bp.doc(operationId=view.__name__, security=[{"key": []}] if needs_key else [{}, {"key": []}])(view)
        if header:
            parameters = view._apidoc.setdefault("arguments", {}).setdefault("parameters", [])  # type: ignore[attr-defined]
            parameters.append({"in": "header", "required": False, "schema": {"type": "string"}} | header)
        return view

    return decorate
