"""Read your writes: after a write, its author reads from the primary for some seconds, because a replica may lag.

The site marks the author with a signed cookie, which also bypasses the load balancer's cache. The API marks the key in
the cache.
"""

from flask import Flask, Response, current_app, g, has_request_context, request
from itsdangerous import TimestampSigner

from app.extensions import cache

COOKIE = "pin"


def reads_from_primary() -> bool:
    """Return whether this client has written in the last PIN_SECONDS."""
    if not has_request_context():
        return False
    if "reads_from_primary" not in g:
        g.reads_from_primary = _cookie_is_valid() or _key_is_marked()
    return bool(g.reads_from_primary)


def mark_writer() -> None:
    """Make this client read from the primary from now on."""
    g.reads_from_primary = True
    g.has_written = True


def key_prefix() -> str | None:
    """Return the public prefix of the request's API key. The key is not verified here."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    prefix, dot, _ = key.strip().partition(".")
    return prefix if scheme.lower() == "bearer" and dot and 0 < len(prefix) <= 32 else None


def init_app(app: Flask) -> None:
    """Mark the response to a write, and let the database check the mark."""
    app.extensions["database"].reads_from_primary = reads_from_primary
    app.after_request(_mark)


def _mark(response: Response) -> Response:
    if not g.get("has_written"):
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
    value = request.cookies.get(COOKIE)
    return value is not None and _signer().validate(value, max_age=current_app.config["PIN_SECONDS"])


def _key_is_marked() -> bool:
    prefix = key_prefix()
    return prefix is not None and cache.is_marked(f"pin:{prefix}")


def _signer() -> TimestampSigner:
    return TimestampSigner(current_app.config["SECRET_KEY"], salt="pin")
