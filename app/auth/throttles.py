"""Limits of wrong passwords and of e-mails. They count known and unknown addresses alike.

Strangers can reach the limits of any account and of any shared client address. So browsers that logged in to the
account before have limits of their own, and an account over its limit is slowed down and not locked. What a limit
counts comes from the check itself, never from a field that the check does not use.
"""

import math
import time
from collections.abc import Callable
from typing import TypeVar

from flask import current_app
from limits import RateLimitItem, parse_many
from werkzeug.exceptions import TooManyRequests

from app.auth import devices
from app.web.limits import client_address, limiter

R = TypeVar("R")
# The window, its setting, and the client or account that it counts.
Counter = tuple[RateLimitItem, str, str]

# Over the limit of an account, these limits apply.
SLOW = {"LOGIN_ADDRESS_RATE_LIMIT": "LOGIN_SLOW_RATE_LIMIT", "LETTERS_ADDRESS_RATE_LIMIT": "LETTERS_SLOW_RATE_LIMIT"}
TOO_MANY_GUESSES = (
    "There were too many wrong passwords. Please wait before you try again, use a browser in which you have logged in "
    "before, or reset your password."
)
TOO_MANY_EMAILS = (
    "There were too many requests for e-mails. Please look for the last one, also in the folder for spam, or wait "
    "before you try again."
)


def guess(email: str, check: Callable[[], R]) -> R:
    """Return the result of a password check for an account. Answer 429 after too many wrong passwords.

    Each try is counted before the check. Unless the password is wrong, the count is taken back. So concurrent tries
    have the same limit as successive ones, and right passwords are not counted.
    """
    client, account = client_address(), devices.account_of(email)
    subjects = {
        "LOGIN_CLIENT_RATE_LIMIT": client,
        "LOGIN_ACCOUNT_RATE_LIMIT": f"{client} {account}",
        "LOGIN_ADDRESS_RATE_LIMIT": account,
    }
    if device := devices.known(account):
        # Also for all known browsers together, because each log-in makes another one.
        subjects = {"LOGIN_ACCOUNT_RATE_LIMIT": device, "LOGIN_ADDRESS_RATE_LIMIT": f"known {account}"}
    counters, wrong = _count(subjects, TOO_MANY_GUESSES), False
    try:
        result = check()
        wrong = not result
    finally:
        if not wrong:
            _take_back(counters)
    return result


def limit_emails(kind: str, email: str) -> None:
    """Answer 429 to too many requests for e-mails. Each kind has its own limit, so sign-ups do not prevent resets."""
    account = devices.account_of(email)
    subjects = {"LETTERS_CLIENT_RATE_LIMIT": client_address(), "LETTERS_ADDRESS_RATE_LIMIT": f"{kind} {account}"}
    if devices.known(account):
        subjects = {"LETTERS_ADDRESS_RATE_LIMIT": f"{kind} known {account}"}
    _count(subjects, TOO_MANY_EMAILS)


def _count(subjects: dict[str, str], message: str) -> list[Counter]:
    """Count for each setting and its subject. If one is over its limit, count for none and answer 429."""
    counters: list[Counter] = []
    for setting, subject in subjects.items():
        seconds = _hit(counters, setting, subject)
        if seconds and setting in SLOW:
            seconds = _hit(counters, SLOW[setting], subject)
        if seconds:
            _take_back(counters)
            raise TooManyRequests(message, retry_after=seconds)
    return counters


def _hit(counters: list[Counter], setting: str, subject: str) -> int:
    """Count for the windows of a setting. If one is full, count for none and return the seconds until it ends."""
    windows: list[Counter] = []
    for item in parse_many(current_app.config[setting]):
        windows.append((item, setting, subject))
        if not limiter.limiter.hit(item, setting, subject):
            _take_back(windows)
            return max(1, math.ceil(limiter.storage.get_expiry(item.key_for(setting, subject)) - time.time()))
    counters += windows
    return 0


def _take_back(counters: list[Counter]) -> None:
    for item, setting, subject in counters:
        limiter.limiter.hit(item, setting, subject, cost=-1)
