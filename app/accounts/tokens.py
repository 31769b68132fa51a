"""Signed links that prove the ownership of an address. They expire, and each works once.

A link contains a fingerprint of account data. Using the link changes that data, so the fingerprint no longer matches.
"""

import hashlib
import hmac
from datetime import timedelta
from typing import Any

from flask import current_app
from itsdangerous import BadData, TimestampSigner
from sqlalchemy.orm import Session

from app.database.models import User

CONFIRM = "confirm"
RESET = "reset"
LIFETIMES = {CONFIRM: timedelta(days=3), RESET: timedelta(hours=1)}
# Matches no account. It is compared if the user is unknown, so that an unknown user takes as long as a used link.
NO_FINGERPRINT = "0" * 64


class TokenError(ValueError):
    """The token has expired, is of another kind, or has a wrong signature."""


def make(kind: str, user: User) -> str:
    """Return a token for a link."""
    return _signer(kind).sign(f"{user.id}-{_fingerprint(kind, user)}").decode()


def read(kind: str, token: str) -> tuple[int, str]:
    """Return a token's user ID and fingerprint; raise TokenError if the token is not valid."""
    try:
        content = _signer(kind).unsign(token, max_age=LIFETIMES[kind] // timedelta(seconds=1)).decode()
    # UnicodeError: the token has a lone surrogate.
    except (BadData, UnicodeError) as error:
        raise TokenError from error
    user_id, _, fingerprint = content.partition("-")
    return int(user_id), fingerprint


def find_user(session: Session, kind: str, token: str, *, lock: bool = False) -> User | None:
    """Return the active user of an unused token. The fingerprint is compared in constant time.

    To use up the token, set `lock`: the row lock lets only one of two concurrent requests succeed.
    """
    try:
        user_id, fingerprint = read(kind, token)
    except TokenError:
        return None
    user = session.get(User, user_id, with_for_update=lock or None)
    matches = hmac.compare_digest(_fingerprint(kind, user) if user else NO_FINGERPRINT, fingerprint)
    return user if user and matches and user.is_active else None


def _fingerprint(kind: str, user: User) -> str:
    """Return a hash of the data that changes when a token is used or must become invalid."""
    bound: list[Any] = {
        CONFIRM: [user.email, user.confirmed_at is not None],
        RESET: [user.email, user.password_hash, user.session_epoch],
    }[kind]
    return hashlib.sha256(repr(bound).encode()).hexdigest()


def _signer(kind: str) -> TimestampSigner:
    if kind not in LIFETIMES:
        raise LookupError(f"unknown kind of link {kind!r}; known are: {', '.join(LIFETIMES)}")
    # One salt for each kind, so that a link of one kind is not valid as another.
    return TimestampSigner(current_app.config["SECRET_KEY"], salt=f"link-{kind}", digest_method=hashlib.sha256)
