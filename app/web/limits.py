"""How often somebody may ask: Flask-Limiter's windows, counted in the cache, in one round trip each.

The load balancer limits each address before anything reaches the application. Here it is about who asks: an API key, an account.
"""

from __future__ import annotations

import math
from typing import Any

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from limits.storage import Storage

from app.extensions import cache
from app.redis.cache_backends import CacheUnavailableError, Window
from app.web.clients import client_address

# By which Flask-Limiter finds the class below: cache://
SCHEMES = ["cache"]

limiter = Limiter(client_address, storage_uri="cache://", strategy="fixed-window")


class CacheStorage(Storage):
    """Counters in the current application's cache. Where the cache is away nobody is counted, and so nobody is refused.

    The library's own storage for Sentinels takes no policy of retries, so that a dead master would hold up requests, and asks replicas,
    which lag, once for each header.
    """

    STORAGE_SCHEME = SCHEMES

    @property
    def base_exceptions(self) -> type[Exception]:
        """What a storage that is away raises: handled here."""
        return CacheUnavailableError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count, and remember the window for the headers of this answer."""
        try:
            window = cache.backend.count(key, expiry, amount)
        except CacheUnavailableError:
            return 0
        _windows()[key] = window
        return window.count

    def get(self, key: str) -> int:
        """Return a count without adding to it."""
        try:
            return int(cache.backend.get_many([key])[0] or 0)
        except CacheUnavailableError:
            return 0

    def get_expiry(self, key: str) -> float:
        """Return the time at which the window of this request ends."""
        window = _windows().get(key)
        return window.ends if window else 0.0

    def check(self) -> bool:
        """Whether the cache answers."""
        try:
            cache.backend.ping()
        except CacheUnavailableError:
            return False
        return True

    def reset(self) -> int | None:
        """Refuse: the counters of all clients are never forgotten at once."""
        raise NotImplementedError

    def clear(self, key: str) -> None:
        """Forget a counter."""
        try:
            cache.backend.drop(key)
        except CacheUnavailableError:
            return


@limiter.request_filter
def _is_anonymous_read() -> bool:
    """Left to the load balancer, which limits each address.

    It answers nearly all of them from its cache, where these headers would be somebody else's; for the rest a counter would cost each a
    round trip to Redis, and looking up the limits a tenth of the request's time.
    """
    return request.method in {"GET", "HEAD", "OPTIONS"} and "Authorization" not in request.headers


def init_app(app: Flask) -> None:
    """Count with the current application's cache, and tell clients where they stand."""
    limiter.init_app(app)
    app.after_request(_add_headers)


def _windows() -> dict[str, Window]:
    windows: dict[str, Window] = g.setdefault("limit_windows", {})
    return windows


def _add_headers(response: Response) -> Response:
    """Add the headers of the IETF's draft, with seconds that are left instead of a time: clocks differ."""
    current: Any = limiter.current_limit
    if current and (window := _windows().get(current.key)):
        left = str(math.ceil(window.seconds_left))
        response.headers["RateLimit-Limit"] = str(current.limit.amount)
        response.headers["RateLimit-Remaining"] = str(max(0, current.limit.amount - window.count))
        response.headers["RateLimit-Reset"] = left
        if current.breached:
            response.headers["Retry-After"] = left
    return response
