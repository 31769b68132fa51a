"""Users, passwords and API keys."""

import base64
import hashlib
import hmac
import secrets
from datetime import timedelta
from functools import lru_cache

import email_validator
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from email_validator import EmailNotValidError, EmailSyntaxError, ValidatedEmail, validate_email
from flask import current_app
from sqlalchemy import delete, exists, select, update
from sqlalchemy.orm import Session, joinedload

from app.database.models import EMAIL_LENGTH, NAME_LENGTH, ApiKey, Article, User, now
from app.web import plaintext

ARTICLES_WRITE = "articles:write"
# A separate scope, because most programs that publish articles never delete one.
ARTICLES_DELETE = "articles:delete"
SCOPES = (ARTICLES_WRITE, ARTICLES_DELETE)
MAX_PASSWORD_LENGTH = 1024
MIN_PASSWORD_LENGTH = 8
MAX_KEYS = 20
# Longer than the lifetime of the link in the e-mail.
UNCONFIRMED_RETENTION = timedelta(days=7)
# Company networks use names such as `.local`. The relay decides which domains it can reach.
email_validator.SPECIAL_USE_DOMAIN_NAMES.clear()


class AccountError(ValueError):
    """A value of an account is not valid. The message gives the reason."""


def check_email(email: str) -> ValidatedEmail:
    """Return the parts of a valid address."""
    try:
        # Checked first, because encoding a very long domain is slow.
        if len(email) > 2 * EMAIL_LENGTH:
            raise EmailSyntaxError("it is too long")
        # No SMTPUTF8: not every relay accepts local parts that are not ASCII.
        return validate_email(email.strip().lower(), allow_smtputf8=False, strict=True, check_deliverability=False)
    except EmailNotValidError as error:
        raise AccountError(f"{email[:EMAIL_LENGTH]!r} is not an e-mail address: {error}") from None


def normalise_email(email: str) -> str:
    """Return the address as it is stored: in lower case, with an ASCII domain, so that one mailbox has one account."""
    return str(check_email(email).ascii_email)


def lookup_form(email: str) -> str:
    """Return the address as it is looked up. An ASCII one is not validated: an old version may have accepted it."""
    form = email.strip().lower()
    return form if form.isascii() and form.isprintable() else normalise_email(email)


def find_user(session: Session, email: str) -> User | None:
    """Return the user with this address."""
    return session.scalar(select(User).where(User.email == lookup_form(email)))


def create_user(session: Session, *, email: str, password: str, name: str = "", is_admin: bool = False) -> User:
    """Add a user."""
    email = normalise_email(email)
    check_length(password)
    if name:
        check_name(name)
    if find_user(session, email):
        raise AccountError(f"there is already a user {email}")
    user = User(
        email=email,
        name=name or email.partition("@")[0].replace(".", " ").title()[:NAME_LENGTH],
        password_hash=hash_password(password),
        is_admin=is_admin,
        confirmed_at=now(),
    )
    session.add(user)
    session.flush()
    return user


def check_name(name: str) -> None:
    """Refuse the name of a user or of a key that cannot be stored or shown."""
    if fault := plaintext.fault(name, max_length=NAME_LENGTH, one_line=True):
        raise AccountError(f"the name {name[:NAME_LENGTH]!r} is not valid: {fault}")


def check_length(password: str) -> None:
    """Refuse a password that is too short, or so long that hashing it would slow the server down."""
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        raise AccountError(
            f"a password must have {MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters, not {len(password)}"
        )


def sign_up(session: Session, *, email: str, name: str, password_hash: str) -> str:
    """Create an unconfirmed account, and return the kind of e-mail to send to its address.

    The site responds in the same way to new and known addresses, so that nobody can find out which addresses have an
    account. Only the e-mail differs. A second sign-up replaces the password of an unconfirmed account. The link in the
    e-mail also asks for that password, so a stranger who signs up with somebody else's address gets no access.
    """
    email = normalise_email(email)
    # One statement, so that it cannot replace the password of an account that is confirmed at the same moment.
    unconfirmed = update(User).where(User.email == email, User.confirmed_at.is_(None))
    replace = unconfirmed.values(name=name, password_hash=password_hash, created_at=now())
    if session.scalar(replace.returning(User.id).execution_options(synchronize_session=False)):
        return "confirm"
    if find_user(session, email):
        return "exists"
    session.add(User(email=email, name=name, password_hash=password_hash))
    session.flush()
    return "confirm"


def confirm(user: User) -> None:
    """Mark the address as confirmed."""
    user.confirmed_at = user.confirmed_at or now()


def delete_unconfirmed(session: Session) -> None:
    """Delete old accounts that were never confirmed, except those with articles: imported authors never confirm."""
    has_written = exists().where(Article.author_id == User.id)
    session.execute(
        delete(User).where(User.confirmed_at.is_(None), User.created_at < now() - UNCONFIRMED_RETENTION, ~has_written)
    )


def set_password(user: User, password_hash: str) -> None:
    """Change a user's password and end all sessions."""
    user.password_hash = password_hash
    user.session_epoch += 1


def reset_password(session: Session, user: User, password_hash: str) -> None:
    """Set a new password for a user who has not proved to know the old one.

    A stranger may know the old one, and may have created API keys. So this ends all sessions and revokes all keys. It
    confirms the address, because only its owner can reset the password.
    """
    set_password(user, password_hash)
    confirm(user)
    valid = update(ApiKey).where(ApiKey.user_id == user.id, ApiKey.revoked_at.is_(None))
    session.execute(valid.values(revoked_at=now()))


def set_address(session: Session, user: User, email: str) -> None:
    """Give an account another address and end all sessions. Links to the former address become invalid."""
    email = normalise_email(email)
    if find_user(session, email):
        raise AccountError(f"there is already a user {email}")
    user.email = email
    user.session_epoch += 1


def set_rights(user: User, **rights: bool) -> None:
    """Change `is_active` or `is_admin` and end all sessions."""
    for name, value in rights.items():
        setattr(user, name, value)
    user.session_epoch += 1


def authenticate(session: Session, email: str, password: str) -> User | None:
    """Return the user if the password is right. An unknown address takes as long as a wrong password."""
    try:
        user = find_user(session, email)
    except AccountError:
        user = None
    stored = user.password_hash if user else _dummy_hash()
    matches = _verify(stored, password[:MAX_PASSWORD_LENGTH])
    return user if matches and user and user.is_active and user.confirmed_at else None


def is_password_of(user: User, password: str) -> bool:
    """Return whether the password is right."""
    return _verify(user.password_hash, password[:MAX_PASSWORD_LENGTH])


def hash_password(password: str) -> str:
    """Return the argon2id hash of a password."""
    return _hasher().hash(password)


def create_key(session: Session, *, user: User, name: str, scopes: list[str]) -> tuple[ApiKey, str]:
    """Add an API key; return it and the full key. Only the hash of the full key is stored."""
    check_name(name)
    if unknown := sorted(set(scopes) - set(SCOPES)):
        raise AccountError(f"unknown scope {', '.join(unknown)}; use: {', '.join(SCOPES)}")
    # Waits for a password reset that is being committed: the session that asks for this key may have just ended.
    owner = session.get_one(User, user.id, with_for_update=True, populate_existing=True)
    if owner is not user and owner.session_epoch > user.session_epoch:
        raise AccountError("the sessions of this account have just ended; log in again")
    if len(keys_of(session, user.id)) >= MAX_KEYS:
        raise AccountError(f"a user has at most {MAX_KEYS} valid keys; revoke one first")
    prefix, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    key = ApiKey(
        user_id=user.id, name=name, prefix=prefix, secret_hash=_hash_secret(secret), scopes=sorted(set(scopes))
    )
    session.add(key)
    session.flush()
    return key, f"{prefix}.{secret}"


def find_key(session: Session, presented: str) -> ApiKey | None:
    """Return the valid key that a client presents, with its user. The secret is compared in constant time."""
    prefix, _, secret = presented.partition(".")
    key = session.scalar(select(ApiKey).options(joinedload(ApiKey.user)).where(ApiKey.prefix == prefix[:32]))
    matches = hmac.compare_digest(key.secret_hash if key else "0" * 64, _hash_secret(secret))
    return key if key and matches and key.revoked_at is None and key.user.is_active else None


def keys_of(session: Session, user_id: int) -> list[ApiKey]:
    """Return a user's valid keys, the newest first."""
    valid = select(ApiKey).where(ApiKey.user_id == user_id, ApiKey.revoked_at.is_(None))
    return list(session.scalars(valid.order_by(ApiKey.id.desc())))


def revoke_key(session: Session, prefix: str, *, owner: int | None = None) -> bool:
    """Revoke a key, if it is the owner's; return whether there is such a valid key."""
    key = session.scalar(select(ApiKey).where(ApiKey.prefix == prefix, ApiKey.revoked_at.is_(None)))
    if key is None or owner not in {None, key.user_id}:
        return False
    key.revoked_at = now()
    return True


def _verify(stored: str, password: str) -> bool:
    try:
        return _hasher().verify(stored, password)
    except (VerificationError, InvalidHashError):
        return False


def _hash_secret(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _hasher() -> PasswordHasher:
    return _make_hasher(current_app.config["ARGON2_TIME_COST"], current_app.config["ARGON2_MEMORY_KIB"])


def _dummy_hash() -> str:
    """Return a random value in the form of a password hash. Comparing it takes as long as comparing a real hash."""
    hasher = _hasher()
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, hasher.hash_len)
    )
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${digest}"


@lru_cache
def _make_hasher(time_cost: int, memory_cost: int) -> PasswordHasher:
    return PasswordHasher(time_cost=time_cost, memory_cost=memory_cost)
