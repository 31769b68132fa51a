"""Rate limits by API key and account: Flask-Limiter, with counters in the cache.

The load balancer already limits each address.
"""

import math
import time
from contextlib import suppress
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any, cast

from flask import Flask, Response, g, request
from flask_limiter import Limiter
from limits.storage import Storage

from app.extensions import cache
from app.redis.cache_backends import CacheUnavailableError, Window


def client_address() -> str:
    """Return the client's IPv4 address or IPv6 /64 network, because one IPv6 client has a full /64."""
    try:
        address = ip_address(request.remote_addr or "")
    except ValueError:
        return "unknown"
    return str(ip_network((address, 64), strict=False)) if isinstance(address, IPv6Address) else str(address)


# Flask-Limiter finds the class below by its scheme, cache://.
SCHEMES = ["cache"]

limiter = Limiter(client_address, storage_uri="cache://", strategy="fixed-window")


class CacheStorage(Storage):
    """Counters in the application's cache, in one round trip each. If the cache is down, nobody is refused.

    The library's own Sentinel storage has two faults: it accepts no retry policy, so a dead master would block
    requests, and it reads counters from replicas, which lag, once for each header.
    """

    STORAGE_SCHEME = SCHEMES

    @property
    def base_exceptions(self) -> type[Exception]:
        """The error of an unavailable storage. This class handles it."""
        return CacheUnavailableError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Count a request, and keep its window for the response headers."""
        try:
            window = cache.backend.count(key, expiry, amount)
        except CacheUnavailableError:
            return 0
        _windows()[key] = window
        return window.count

    def get(self, key: str) -> int:
        """Return a counter."""
        try:
            return int(cache.backend.get_many([key])[0] or 0)
        except CacheUnavailableError:
            return 0

    def get_expiry(self, key: str) -> float:
        """Return the time at which the window of this request ends."""
        window = _windows().get(key)
        return time.time() + window.seconds_left if window else 0.0

    def check(self) -> bool:
        """Return whether the cache answers."""
        try:
            cache.backend.ping()
        except CacheUnavailableError:
            return False
        return True

    def reset(self) -> int | None:
        """Raise NotImplementedError: nothing needs to reset all counters."""
        raise NotImplementedError

    def clear(self, key: str) -> None:
        """Delete a counter."""
        with suppress(CacheUnavailableError):
            cache.backend.drop(key)


@limiter.request_filter
def _is_anonymous_read() -> bool:
    """Exempt anonymous reads, which the load balancer limits by address.

    The load balancer answers most of them from its cache, where these headers would belong to another client. For the
    others, a counter would cost a round trip to Redis, and the look-up of the limits a tenth of the request's time.
    """
    return request.method in {"GET", "HEAD", "OPTIONS"} and "Authorization" not in request.headers


def init_app(app: Flask) -> None:
    """Enable the limits and add their state to responses."""
    limiter.init_app(app)
    app.after_request(_add_headers)


def _windows() -> dict[str, Window]:
    return cast("dict[str, Window]", g.setdefault("limit_windows", {}))


def _add_headers(response: Response) -> Response:
    """Add the headers of the IETF draft. They contain the remaining seconds and not a time, because clocks differ."""
    current: Any = limiter.current_limit
    if current and (window := _windows().get(current.key)):
        left = str(math.ceil(window.seconds_left))
        response.headers["RateLimit-Limit"] = str(current.limit.amount)
        response.headers["RateLimit-Remaining"] = str(max(0, current.limit.amount - window.count))
        response.headers["RateLimit-Reset"] = left
        if current.breached:
            response.headers["Retry-After"] = left
    return response
