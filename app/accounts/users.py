"""Users, passwords and API keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta
from functools import lru_cache

import email_validator
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, EmailSyntaxError, validate_email
from flask import current_app
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session, joinedload

from app.database.models import EMAIL_LENGTH, NAME_LENGTH, ApiKey, Article, User, now

ARTICLES_WRITE = "articles:write"
# Apart: a program that publishes need not be able to destroy.
ARTICLES_DELETE = "articles:delete"
SCOPES = (ARTICLES_WRITE, ARTICLES_DELETE)
LONGEST_PASSWORD = 1024
SHORTEST_PASSWORD = 8
MOST_KEYS = 20
# Longer than the link in the letter is good.
UNCONFIRMED_KEPT = timedelta(days=7)
# Company networks use names such as `.local`. The relay decides which domains it can reach.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class AccountError(ValueError):
    """An account that cannot be made; the message says why."""


def normalise_email(email: str) -> str:
    """Return the address as it is stored: in lower case, with an ASCII domain, so that one mailbox has one account."""
    try:
        # Checked first, because encoding a very long domain is slow.
        if len(email) > 2 * EMAIL_LENGTH:
            raise EmailSyntaxError("it is too long")
        # No SMTPUTF8: not every relay accepts local parts that are not ASCII.
        checked = validate_email(email.strip().lower(), allow_smtputf8=False, strict=True, check_deliverability=False)
    except EmailNotValidError as error:
        raise AccountError(f"{email[:EMAIL_LENGTH]!r} is not an e-mail address: {error}") from None
    return str(checked.ascii_email)


def find_user(session: Session, email: str) -> User | None:
    """Return the user of an address."""
    return session.scalar(select(User).where(User.email == normalise_email(email)))


def create_user(session: Session, *, email: str, password: str, name: str = "", is_admin: bool = False) -> User:
    """Add a user."""
    email = normalise_email(email)
    check_length(password)
    if find_user(session, email):
        raise AccountError(f"there is a user {email} already")
    user = User(
        email=email,
        name=name or _name_from(email),
        password_hash=hash_password(password),
        is_admin=is_admin,
        confirmed_at=now(),
    )
    session.add(user)
    session.flush()
    return user


def check_length(password: str) -> None:
    """Refuse a password that is too short, or so long that hashing it is an attack."""
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise AccountError(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters, not {len(password)}")


def sign_up(session: Session, *, email: str, name: str, password_hash: str) -> str:
    """Make an account that waits until its address is confirmed, and return the kind of letter that goes there.

    Whoever signs up learns nothing of the address: the letter tells its owner. An account that still waits is made anew, since only its
    password confirms it: what a stranger has typed for the address gives no access.
    """
    email = normalise_email(email)
    # One statement, so that a password which comes while its owner confirms another cannot replace that one.
    waiting = update(User).where(User.email == email, User.confirmed_at.is_(None))
    anew = waiting.values(name=name, password_hash=password_hash, created_at=now())
    if session.scalar(anew.returning(User.id).execution_options(synchronize_session=False)):
        return "confirm"
    if find_user(session, email):
        return "exists"
    session.add(User(email=email, name=name, password_hash=password_hash))
    session.flush()
    return "confirm"


def confirm(user: User) -> None:
    """Note that the address is its user's."""
    user.confirmed_at = user.confirmed_at or now()


def forget_unconfirmed(session: Session) -> None:
    """Forget who signed up and never confirmed the address. Authors of imported articles never do, and stay."""
    has_written = exists().where(Article.author_id == User.id)
    session.execute(
        delete(User).where(User.confirmed_at.is_(None), User.created_at < now() - UNCONFIRMED_KEPT, ~has_written)
    )


def set_password(user: User, password_hash: str) -> None:
    """Give a user another password, which ends every session."""
    user.password_hash = password_hash
    user.session_epoch += 1


def authenticate(session: Session, email: str, password: str) -> User | None:
    """Return the user whose password this is. An unknown address takes as long as a wrong password."""
    try:
        user = find_user(session, email)
    except AccountError:
        user = None
    stored = user.password_hash if user else _hash_of_nothing()
    matches = _verify(stored, password[:LONGEST_PASSWORD])
    return user if matches and user and user.is_active and user.confirmed_at else None


def is_password_of(user: User, password: str) -> bool:
    """Whether this is the user's password."""
    return _verify(user.password_hash, password[:LONGEST_PASSWORD])


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _hasher().hash(password)


def create_key(session: Session, *, user: User, name: str, scopes: list[str]) -> tuple[ApiKey, str]:
    """Add an API key; return it and the only copy of the whole key."""
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise AccountError(f"there is no scope {', '.join(unknown)}; scopes are: {', '.join(SCOPES)}")
    if len(keys_of(session, user.id)) >= MOST_KEYS:
        raise AccountError(f"a user has at most {MOST_KEYS} valid keys; revoke one first")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        user_id=user.id, name=name, prefix=prefix, secret_hash=_hash_secret(secret), scopes=sorted(set(scopes))
    )
    session.add(key)
    session.flush()
    return key, f"{prefix}.{secret}"


def find_key(session: Session, presented: str) -> ApiKey | None:
    """Return the valid key that a client presents, with its user. Compared in constant time."""
    prefix, _, secret = presented.partition(".")
    key = session.scalar(select(ApiKey).options(joinedload(ApiKey.user)).where(ApiKey.prefix == prefix[:32]))
    matches = hmac.compare_digest(key.secret_hash if key else "0" * 64, _hash_secret(secret))
    return key if key and matches and key.revoked_at is None and key.user.is_active else None


def keys_of(session: Session, user_id: int) -> list[ApiKey]:
    """Return a user's valid keys, the newest first."""
    valid = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return list(session.scalars(valid.order_by(ApiKey.id.desc())))


def revoke_key(session: Session, prefix: str) -> bool:
    """End a key; return whether there was one."""
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None)))
    if key:
        key.revoked_at = now()
    return key is not None


def revoke_key_of(session: Session, user_id: int, prefix: str) -> bool:
    """End one of a user's keys; return whether the user has it."""
    key = next((key for key in keys_of(session, user_id) if key.prefix == prefix), None)
    if key:
        key.revoked_at = now()
    return key is not None


def _name_from(email: str) -> str:
    return email.partition("@")[0].replace(".", " ").title()[:NAME_LENGTH]


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _hasher() -> PasswordHasher:
    return _make_hasher(current_app.config["ARGON2_TIME_COST"], current_app.config["ARGON2_MEMORY_KIB"])


def _hash_of_nothing() -> str:
    """Return what looks like the hash of a password and takes as long to compare. To make a real one would take as long again."""
    hasher = _hasher()
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${digest}"


@lru_cache
def _make_hasher(time_cost: int, memory_cost: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_cost)
