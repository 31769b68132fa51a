"""Links that prove who owns an address: signed, for a time, and good once, because they are bound to what using them changes."""

from __future__ import annotations

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
LIVES = {CONFIRM: timedelta(days=3), RESET: timedelta(hours=1)}
# What no account has: an id that does not exist takes as long as a link that was used.
NOBODY = "0" * 64


class TokenError(ValueError):
    """A token that was not made here, is of another kind, or is too old."""


def make(kind: str, user: User) -> str:
    """Return a token for a link."""
    return _signer(kind).sign(f"{user.id}-{_fingerprint(kind, user)}").decode()


def read(kind: str, token: str) -> tuple[int, str]:
    """Return a token's user id and fingerprint; raise TokenError where it is not valid."""
    try:
        content = _signer(kind).unsign(token, max_age=LIVES[kind] // timedelta(seconds=1)).decode()
    # UnicodeError: half a character.
    except (BadData, UnicodeError) as error:
        raise TokenError from error
    user_id, _, fingerprint = content.partition("-")
    return int(user_id), fingerprint


def find_user(session: Session, kind: str, token: str, *, lock: bool = False) -> User | None:
    """Return the active user whose unused token this is. The fingerprint is compared in constant time.

    Whoever uses the token up locks the user: of two who come with it one succeeds.
    """
    try:
        user_id, fingerprint = read(kind, token)
    except TokenError:
        return None
    user = session.get(User, user_id, with_for_update=lock or None)
    matches = hmac.compare_digest(_fingerprint(kind, user) if user else NOBODY, fingerprint)
    return user if user and matches and user.is_active else None


def _fingerprint(kind: str, user: User) -> str:
    """Return the mark of what a token is bound to: using it changes this, and so does everything that should end it."""
    bound: list[Any] = {
        CONFIRM: [user.email, user.confirmed_at is not None],
        RESET: [user.email, user.password_hash, user.session_epoch],
    }[kind]
    return hashlib.sha256(repr(bound).encode()).hexdigest()


def _signer(kind: str) -> TimestampSigner:
    if kind not in LIVES:
        raise LookupError(f"there is no kind of link {kind!r}")
    # A key of its own for each kind: one kind of link never passes for the other.
    return TimestampSigner(current_app.config["SECRET_KEY"], salt=f"link-{kind}", digest_method=hashlib.sha256)
