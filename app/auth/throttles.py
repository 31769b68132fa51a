"""Rate limits for wrong passwords and for e-mails. They count known and unknown addresses alike."""

import hashlib
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from flask import current_app, request
from flask.typing import ResponseReturnValue
from flask_login import current_user
from limits import RateLimitItem, parse_many
from werkzeug.exceptions import TooManyRequests

from app.accounts import users
from app.accounts.users import AccountError
from app.web.limits import client_address, limiter

P = ParamSpec("P")
R = TypeVar("R")
# The window, its setting, and the client or account that it counts.
Counter = tuple[RateLimitItem, str, str]

TOO_MANY_GUESSES = "There were too many wrong passwords. Please wait before you try again."
TOO_MANY_EMAILS = "There were too many requests for e-mails. Please wait before you try again."


def limit_guesses(view: Callable[P, ResponseReturnValue]) -> Callable[P, ResponseReturnValue]:
    """Limit wrong passwords. Right ones are not counted.

    Each try is counted before its password is checked. Unless the password is wrong, the count is taken back. So
    concurrent tries have the same limit as successive ones.
    """

    @wraps(view)
    def limited(*args: P.args, **kwargs: P.kwargs) -> ResponseReturnValue:
        if request.method != "POST":
            return view(*args, **kwargs)
        counters, wrong = _count_try(), False
        try:
            response = current_app.make_response(view(*args, **kwargs))
            wrong = response.status_code == 401
        finally:
            if not wrong:
                _take_back(counters)
        return response

    return limited


def limit_emails(view: Callable[P, R]) -> Callable[P, R]:
    """Limit requests that send e-mails."""
    for setting, key in {"LETTERS_CLIENT_RATE_LIMIT": client_address, "LETTERS_ADDRESS_RATE_LIMIT": _account}.items():
        view = limiter.shared_limit(
            _setting(setting), scope=setting, key_func=key, methods=["POST"], error_message=TOO_MANY_EMAILS
        )(view)
    return view


def _setting(name: str) -> Callable[[], str]:
    return lambda: current_app.config[name]


def _count_try() -> list[Counter]:
    """Count a try for client, account and both; answer 429 after too many wrong ones."""
    client, account = client_address(), _account()
    names = {
        "LOGIN_CLIENT_RATE_LIMIT": client,
        "LOGIN_ACCOUNT_RATE_LIMIT": f"{client} {account}",
        "LOGIN_ADDRESS_RATE_LIMIT": account,
    }
    counters: list[Counter] = []
    for setting, name in names.items():
        for item in parse_many(current_app.config[setting]):
            counters.append((item, setting, name))
            if not limiter.limiter.hit(item, setting, name):
                _take_back(counters)
                ends = limiter.storage.get_expiry(item.key_for(setting, name))
                raise TooManyRequests(TOO_MANY_GUESSES, retry_after=max(1, math.ceil(ends - time.time())))
    return counters


def _take_back(counters: list[Counter]) -> None:
    for item, setting, name in counters:
        limiter.limiter.hit(item, setting, name, cost=-1)


def _account() -> str:
    """Return a hash that identifies the account, by address or link.

    A hash, so that the cache has no list of addresses.
    """
    named = request.form.get("email") or getattr(current_user, "email", "") or request.path
    # Normalised, so that all spellings count together. Invalid addresses count too, so that answers do not differ.
    with suppress(AccountError):
        named = users.normalise_email(named)
    return hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()
