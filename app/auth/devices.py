"""Device cookies (OWASP): a browser that logged in before has its own limits, so strangers cannot lock its user out.

The cookie logs nobody in. It is signed for the account that logged in last, and can be verified only together with that
account's address.
"""

import hashlib
import secrets
from contextlib import suppress
from datetime import timedelta

from flask import Response, after_this_request, current_app, request
from itsdangerous import BadData, TimestampSigner

from app.accounts import users
from app.accounts.users import AccountError

COOKIE = "device"
LIFETIME = timedelta(days=365)


def account_of(email: str) -> str:
    """Return a hash that identifies an account. All spellings of an address have the same one.

    A hash, so that the cache has no list of addresses. Invalid addresses have one too, so that answers do not differ.
    """
    with suppress(AccountError):
        email = users.lookup_form(email)
    return hashlib.sha256(email.encode("utf-8", "replace")).hexdigest()


def remember(email: str) -> None:
    """Send this browser a cookie for the account."""
    value = _signer(account_of(email)).sign(secrets.token_hex(8)).decode()

    @after_this_request
    def set_cookie(response: Response) -> Response:
        response.set_cookie(
            COOKIE,
            value,
            max_age=LIFETIME,
            path="/auth",
            httponly=True,
            samesite="Lax",
            secure=current_app.config["SESSION_COOKIE_SECURE"],
        )
        return response


def known(account: str) -> str | None:
    """Return the ID of this browser if it has logged in to the account before."""
    with suppress(BadData, UnicodeError):
        signed = request.cookies.get(COOKIE, "")
        return _signer(account).unsign(signed, max_age=LIFETIME // timedelta(seconds=1)).decode()
    return None


def _signer(account: str) -> TimestampSigner:
    return TimestampSigner(current_app.config["SECRET_KEY"], salt=f"device-{account}", digest_method=hashlib.sha256)
