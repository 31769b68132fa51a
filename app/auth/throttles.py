"""How often somebody may guess a password, or have letters sent. Known and unknown addresses are counted alike."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress
from typing import ParamSpec, TypeVar

from flask import Response, current_app, request
from flask_login import current_user

from app import accounts
from app.accounts import AccountError
from app.clients import client_address
from app.extensions import limiter

P = ParamSpec("P")
R = TypeVar("R")

WRONG = "There were too many wrong passwords. Please wait a while before the next try."
LETTERS = "Too many letters were asked for. Please wait a while before the next try."


def limit_guesses(view: Callable[P, R]) -> Callable[P, R]:
    """Limit wrong passwords. Who knows the password is never counted."""
    limits: dict[str, Callable[[], str]] = {
        "LOGIN_CLIENT_RATE_LIMIT": client_address,
        "LOGIN_ACCOUNT_RATE_LIMIT": lambda: f"{client_address()} {_account()}",
        "LOGIN_ADDRESS_RATE_LIMIT": _account,
    }
    for setting, key in limits.items():
        view = _limit(view, setting, key, message=WRONG, deduct_when=_is_wrong)
    return view


def limit_letters(view: Callable[P, R]) -> Callable[P, R]:
    """Limit letters."""
    for setting, key in {"LETTERS_CLIENT_RATE_LIMIT": client_address, "LETTERS_ADDRESS_RATE_LIMIT": _account}.items():
        view = _limit(view, setting, key, message=LETTERS, deduct_when=None)
    return view


def _limit(
    view: Callable[P, R],
    setting: str,
    key: Callable[[], str],
    *,
    message: str,
    deduct_when: Callable[[Response], bool] | None,
) -> Callable[P, R]:
    limit = limiter.shared_limit(
        lambda: current_app.config[setting],
        scope=setting,
        key_func=key,
        methods=["POST"],
        deduct_when=deduct_when,
        error_message=message,
    )
    limited: Callable[P, R] = limit(view)
    return limited


def _account() -> str:
    """Return what names the account, as a hash: no list of who logs in. A link names one too."""
    named = request.form.get("email") or getattr(current_user, "email", "") or request.path
    # However it is spelled. What is no address is counted too, so that an answer does not tell one from the other.
    with suppress(AccountError):
        named = accounts.normalise_email(named)
    return hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()


def _is_wrong(response: Response) -> bool:
    return response.status_code == 401
