"""API keys as bearer tokens: authentication and rate limits."""

from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar, cast

from flask import current_app, g, request
from flask_smorest import abort

from app.accounts import users
from app.database.models import ApiKey
from app.extensions import db
from app.web.limits import client_address, limiter

P = ParamSpec("P")
R = TypeVar("R")


def _limit_key() -> str:
    """Return the API key if it was checked, else the address: a client could send another false key in each request."""
    return f"key:{caller().prefix}" if "api_key" in g else client_address()


limited = limiter.shared_limit(
    lambda: current_app.config["API_RATE_LIMIT"],
    scope="api",
    key_func=_limit_key,
    error_message="Too many requests. Wait for the seconds in Retry-After.",
)


def required(scope: str | None = None) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Require a valid key, with this scope if it is given. The view gets the key from `caller()`."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        limited_view = limited(view)

        @wraps(view)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            g.api_key = _authorise(scope)
            return limited_view(*args, **kwargs)

        return checked

    return decorate


def caller() -> ApiKey:
    """Return the API key of this request."""
    return cast("ApiKey", g.api_key)


def _authorise(scope: str | None) -> ApiKey:
    """Return the request's key. Respond with 401 if it is not valid, and with 403 if it lacks the scope."""
    scheme, _, presented = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not presented.strip():
        _refuse(401, "Send an API key: Authorization: Bearer KEY.", "Bearer")
    # Read from the primary, so that new and revoked keys take effect at once.
    key = db.read(lambda session: users.find_key(session, presented.strip()), primary=True)
    if key is None:
        _refuse(401, "The API key is not valid.", 'Bearer error="invalid_token"')
    if scope and scope not in key.scopes:
        _refuse(403, f"The API key lacks the scope {scope}.", f'Bearer error="insufficient_scope", scope="{scope}"')
    return key


def _refuse(status: int, reason: str, challenge: str) -> NoReturn:
    abort(status, message=reason, headers={"WWW-Authenticate": challenge})
    raise AssertionError("abort raises")
