"""Conditional requests: ETags, 304 if the client has the current version, 412 if it has not seen the latest change."""

import hashlib
import re

import msgspec
from flask import Response, request

from app.redis.cache import Cached

_ARTICLE_TAG = re.compile(r"(\d{1,9})-[0-9a-f]{16}", re.ASCII)


class _Versioned(msgspec.Struct):
    version: int


def list_response(cached: Cached) -> Response:
    """Respond with a list. Its ETag is the hash of the body."""
    return _conditional(cached, _hash(cached.body))


def article_response(cached: Cached) -> Response:
    """Respond with an article, or with 304."""
    return _conditional(cached, article_tag(cached.body))


def article_tag(body: bytes) -> str:
    """Return the ETag of an article: its version and the hash of its body.

    Each counted view changes the body, so a strong ETag must change too. If-Match compares only the version, so
    counted views do not prevent an edit.
    """
    return f"{msgspec.json.decode(body, type=_Versioned).version}-{_hash(body)}"


def matches(version: int) -> bool:
    """Return whether If-Match allows a change of this version. Without the header it is always allowed."""
    if "If-Match" not in request.headers:
        return True
    wanted = request.if_match
    # Werkzeug parses an empty tag in a list as None.
    versions = {found[1] for tag in wanted.as_set() if tag and (found := _ARTICLE_TAG.fullmatch(tag))}
    return wanted.star_tag or str(version) in versions


def _conditional(cached: Cached, tag: str) -> Response:
    response = Response(cached.body, mimetype="application/json", headers={"X-Cache": cached.outcome})
    response.set_etag(tag)
    response.make_conditional(request)
    return response


def _hash(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()
