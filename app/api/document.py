"""The OpenAPI document: what every answer may be, in one place."""

from __future__ import annotations

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
Articles of this site, as JSON. Reading needs nothing; writing needs an API key, sent as a bearer token.

Lists come in pages: `next` of one is `after` of the following one. Errors are `application/problem+json` (RFC 9457) and name each field
that cannot be used. `ETag` serves `If-None-Match` on reads, and `If-Match` on changes, so that nobody overwrites what they have not seen.
A POST with an `Idempotency-Key` may be sent again without publishing twice. Requests that show a key are limited, see `RateLimit-*`;
anonymous reads are limited by the load balancer alone.
"""
LIMITS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")
HEADERS: dict[str, dict[str, Any]] = {
    "X-Request-Id": {"description": "Names this request in the logs", "schema": {"type": "string"}},
    "X-Cache": {
        "description": "Whether the cache had it",
        "schema": {"type": "string", "enum": ["hit", "miss", "stale"]},
    },
    "ETag": {
        "description": "Changes with what is sent; an article's begins with its version",
        "schema": {"type": "string"},
    },
    "Location": {"description": "Where the article is", "schema": {"type": "string", "format": "uri-reference"}},
    "Idempotency-Replayed": {
        "description": "This is the answer of an earlier request",
        "schema": {"type": "string", "const": "true"},
    },
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Limit": {
        "description": "Requests in a window; where a key was shown",
        "schema": {"type": "integer", "minimum": 1},
    },
    "RateLimit-Remaining": {"description": "Requests that are left in it", "schema": {"type": "integer", "minimum": 0}},
    "RateLimit-Reset": {"description": "Seconds until the next one", "schema": {"type": "integer", "minimum": 0}},
}
# What each kind of problem means here, and the headers that it has.
PROBLEMS: dict[int, tuple[str, tuple[str, ...]]] = {
    400: ("The body is not JSON", ()),
    401: ("There is no API key, or it is not valid", ("WWW-Authenticate",)),
    403: ("The key lacks the scope, or the article is somebody else's", ("WWW-Authenticate",)),
    404: ("There is no such article", ()),
    412: ("The article is not at the version that If-Match names", ()),
    413: ("The body is larger than the server takes", ()),
    415: ("The body is not called application/json", ()),
    422: ("A field cannot be used; `errors` names it", ()),
    429: ("There were too many requests", ("Retry-After", *LIMITS)),
    503: ("A server behind this one does not answer", ("Retry-After",)),
}


class FieldErrorSchema(ma.Schema):
    """What is wrong with one field of a request."""

    location = ma.fields.String(
        metadata={"description": "Part of the request: query, json, headers or path", "example": "json"}
    )
    field = ma.fields.String(metadata={"description": "Name of the field", "example": "title"})
    detail = ma.fields.String(metadata={"description": "What is wrong with it", "example": "Must not be blank."})


class ProblemSchema(ma.Schema):
    """An error, as RFC 9457 describes it."""

    type = ma.fields.String(metadata={"description": "about:blank: the status says what kind of problem it is"})
    title = ma.fields.String(required=True, metadata={"description": "The status in words"})
    status = ma.fields.Integer(required=True, metadata={"description": "The HTTP status"})
    detail = ma.fields.String(metadata={"description": "What happened"})
    errors = ma.fields.List(
        ma.fields.Nested(FieldErrorSchema), metadata={"description": "What is wrong with the request"}
    )
    request_id = ma.fields.String(metadata={"description": "Names this request in the logs"})


class ProblemApi(Api):
    """Flask-smorest with problem+json in its document; the errors themselves are answered for the whole application: see app.problems."""

    ERROR_SCHEMA = ProblemSchema
    # A catch-all would document answers that nobody has thought of.
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
            content = {PROBLEM_JSON: {"schema": ProblemSchema, "example": example}}
            component = {"description": description, "headers": refer("X-Request-Id", *headers), "content": content}
            self.spec.components.response(phrase.name, component, lazy=True)

    def _register_error_handlers(self) -> None:
        """Leave errors to app.problems."""


def make_api(app: Flask) -> ProblemApi:
    """Return the API, to which blueprints are added."""
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


def refer(*names: str) -> dict[str, dict[str, str]]:
    """Return references to documented headers."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def operation(
    bp: Any, *problems: int, needs_key: bool = False, header: dict[str, Any] | None = None
) -> Callable[[View], View]:
    """Document the problems that a view may answer with, whether it needs a key, and a header that it looks at."""

    def decorate(view: View) -> View:
        for status in problems:
            view = bp.alt_response(status, HTTPStatus(status).name)(view)
        view = bp.doc(operationId=view.__name__, security=[{"key": []}] if needs_key else [{}, {"key": []}])(view)
        if header:
            parameters = view._apidoc.setdefault("arguments", {}).setdefault("parameters", [])  # type: ignore[attr-defined]
            parameters.append({"in": "header", "required": False, "schema": {"type": "string"}} | header)
        return view

    return decorate
