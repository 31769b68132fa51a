"""Conditional requests: ETags of what is sent, 304 for who has it already, 412 for who would overwrite what they have not seen."""

from __future__ import annotations

import hashlib
import re

import msgspec
from flask import Response, request

from app.redis.cache import Cached

_ARTICLE_TAG = re.compile(r"(\d{1,9})-[0-9a-f]{16}", re.ASCII)


class _Versioned(msgspec.Struct):
    version: int


def list_answer(cached: Cached) -> Response:
    """Answer with a list, whose ETag is the hash of its bytes."""
    return _conditional(cached.body, _hash(cached.body), {"X-Cache": cached.outcome})


def article_answer(cached: Cached) -> Response:
    """Answer with an article, unless the client has these bytes."""
    return _conditional(cached.body, article_tag(cached.body), {"X-Cache": cached.outcome})


def article_tag(body: bytes) -> str:
    """Return an article's ETag: its version and the hash of its bytes.

    The bytes change with each view that is counted, and so must a strong ETag. What a writer must not overwrite is the version, so
    If-Match looks at that part alone.
    """
    return f"{msgspec.json.decode(body, type=_Versioned).version}-{_hash(body)}"


def is_wanted(version: int) -> bool:
    """Whether If-Match allows to change this version. Without the header any is."""
    if "If-Match" not in request.headers:
        return True
    wanted = request.if_match
    versions = {found[1] for tag in wanted.as_set() if (found := _ARTICLE_TAG.fullmatch(tag))}
    return wanted.star_tag or str(version) in versions


def _conditional(body: bytes, tag: str, headers: dict[str, str]) -> Response:
    response = Response(body, mimetype="application/json", headers=headers)
    response.set_etag(tag)
    response.make_conditional(request)
    return response


def _hash(body: bytes) -> str:
    return hashlib.blake2b(body, digest_size=8).hexdigest()
