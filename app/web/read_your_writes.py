"""Read your writes: whoever has just written reads from the primary for a few seconds, since a replica may lag behind.

The site marks its users with a signed cookie (which also makes the load balancer's cache step aside), the API its keys in the cache.
"""

from __future__ import annotations

from flask import Flask, Response, current_app, g, has_request_context, request
from itsdangerous import BadSignature, TimestampSigner

from app.extensions import cache

COOKIE = "pin"


def reads_from_primary() -> bool:
    """Whether the reader of this request has written in the last seconds."""
    if not has_request_context():
        return False
    if "pinned" not in g:
        g.pinned = _cookie_is_valid() or _key_is_marked()
    return bool(g.pinned)


def pin_to_primary() -> None:
    """Make the reader of this request read from the primary from now on."""
    g.pinned = True
    g.pin_wanted = True


def key_prefix() -> str | None:
    """Return the public part of the request's API key, which is not proven to be genuine."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    prefix, dot, _ = key.strip().partition(".")
    return prefix if scheme.lower() == "bearer" and dot and 0 < len(prefix) <= 32 else None


def init_app(app: Flask) -> None:
    """Mark the response to a write, and let the database check the mark."""
    app.extensions["database"].reads_from_primary = reads_from_primary
    app.after_request(_mark)


def _mark(response: Response) -> Response:
    if not g.get("pin_wanted"):
        return response
    seconds = current_app.config["PIN_SECONDS"]
    if prefix := key_prefix():
        cache.mark(f"pin:{prefix}", seconds)
    else:
        response.set_cookie(
            COOKIE,
            _signer().sign(b"1").decode(),
            max_age=seconds,
            httponly=True,
            samesite="Lax",
            secure=current_app.config["SESSION_COOKIE_SECURE"],
        )
    return response


def _cookie_is_valid() -> bool:
    if (value := request.cookies.get(COOKIE)) is None:
        return False
    try:
        _signer().unsign(value, max_age=current_app.config["PIN_SECONDS"])
    except BadSignature:
        return False
    return True


def _key_is_marked() -> bool:
    prefix = key_prefix()
    return prefix is not None and cache.is_marked(f"pin:{prefix}")


def _signer() -> TimestampSigner:
    return TimestampSigner(current_app.config["SECRET_KEY"], salt="pin")
