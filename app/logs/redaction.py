"""Text that may be logged and shown: without passwords, tokens and keys."""

from __future__ import annotations

import re

from sqlalchemy.exc import DBAPIError

LONGEST_ERROR = 2000
HIDDEN = "[hidden]"

_SECRETS = (
    # The password of a URL: redis://user:password@host.
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)", re.IGNORECASE),
    # A query string's token, a setting's password, a header's key.
    re.compile(
        r"(?P<kept>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}\]]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)[\w.~+/=-]+", re.IGNORECASE),
    # A link that proves who owns an address: its last part is the proof.
    re.compile(r"(?P<kept>/auth/(?:reset|confirm)[\w-]*/)[^\s\"'/?]+"),
)


def redact(content: str) -> str:
    """Return text with what looks like a secret hidden."""
    for secret in _SECRETS:
        content = secret.sub(rf"\g<kept>{HIDDEN}", content)
    return content


def describe(error: BaseException) -> str:
    """Return an error's kind and message, as it may be stored and shown."""
    # A database error's own text repeats the statement with its values: an address, an article, a hash.
    message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    message = redact(message).encode("utf-8", "replace").decode().replace("\0", "").strip()
    name = type(error).__name__
    return (message if message.startswith(name) else f"{name}: {message}".removesuffix(": "))[:LONGEST_ERROR]
