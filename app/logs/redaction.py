"""Hides passwords, tokens and keys in text that is logged or shown."""

import re

from sqlalchemy.exc import DBAPIError

MAX_ERROR_LENGTH = 2000
HIDDEN = "[hidden]"

_SECRETS = (
    # A password in a URL: redis://user:password@host.
    re.compile(r"(?P<kept>\b[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s@/]+(?=@)", re.IGNORECASE),
    # A token in a query string, a password in a setting, a key in a header.
    re.compile(
        r"(?P<kept>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key)[\"']?\s*[=:]\s*[\"']?)[^\s\"'&,;)}\]]+",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<kept>\b(?:bearer|basic)\s+)[\w.~+/=-]+", re.IGNORECASE),
    # A link from an e-mail. Its last part is a token.
    re.compile(r"(?P<kept>(?:/|%2f)auth(?:/|%2f)+(?:reset|confirm)[\w-]*(?:/|%2f)+)[^\s\"'/?]+", re.IGNORECASE),
)


def redact(content: str) -> str:
    """Replace everything that looks like a secret."""
    for secret in _SECRETS:
        content = secret.sub(rf"\g<kept>{HIDDEN}", content)
    return content


def describe(error: BaseException) -> str:
    """Return the type and message of an error, without secrets."""
    # str() of a database error contains the statement with its values: addresses, articles, hashes.
    message = str(error.orig) if isinstance(error, DBAPIError) else str(error)
    message = redact(message).encode("utf-8", "replace").decode().replace("\0", "").strip()
    name = type(error).__name__
    return (message if message.startswith(name) else f"{name}: {message}".removesuffix(": "))[:MAX_ERROR_LENGTH]
