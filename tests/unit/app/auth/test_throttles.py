"""Strangers cannot lock the owner of an account out, and cannot choose what a limit counts."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.database.models import User
from tests.unit.app.auth.conftest import OTHER, UNKNOWN, link, sign_up
from tests.unit.app.conftest import add_user, log_in, logged_in, send

LIMIT = 3
MINUTE, QUARTER = 60, 15 * 60


@pytest.fixture
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    limits = dict.fromkeys(["LOGIN_ADDRESS_RATE_LIMIT", "LETTERS_ADDRESS_RATE_LIMIT"], f"{LIMIT} per hour")
    return settings | limits | {"LETTERS_CLIENT_RATE_LIMIT": "1 per hour"}


@pytest.fixture
def known(app: Flask, user: User) -> FlaskClient:
    """A browser in which the user has logged in and out before."""
    browser = logged_in(app, user.email)
    send(browser, "/auth/logout", page="/account")
    return browser


def clean(app: Flask, number: int) -> FlaskClient:
    """A new browser with an address of its own."""
    browser = app.test_client()
    browser.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
    return browser


def test_strangers_who_guess_slow_the_owner_down_and_do_not_lock_a_known_browser_out(
    app: Flask, user: User, known: FlaskClient
) -> None:
    guesses = [log_in(clean(app, number), user.email, "wrong").status_code for number in range(LIMIT)]
    assert guesses == [401] * LIMIT
    assert log_in(clean(app, 100), user.email).status_code == 302, "a right password must not be refused"
    other = logged_in(app, add_user(app, "bob@news.example").email)
    send(other, "/auth/logout", page="/account")
    assert log_in(other, user.email, "wrong").status_code == 401, "one guess per minute"
    refused = log_in(other, user.email)
    assert refused.status_code == 429, "the cookie of another account must not help"
    assert 0 < int(refused.headers["Retry-After"]) <= MINUTE
    assert log_in(known, user.email).status_code == 302


def test_the_owner_can_reset_the_password_and_log_in_while_strangers_guess(app: Flask, user: User) -> None:
    for number in range(LIMIT + 1):
        log_in(clean(app, number), user.email, "wrong")
    owner = clean(app, 100)
    assert log_in(owner, user.email).status_code == 429
    assert send(owner, link("reset", user.email), password=OTHER).status_code == 302
    assert log_in(owner, user.email, OTHER).status_code == 302


def test_a_known_browser_has_a_limit_of_its_own(app: Flask, user: User, known: FlaskClient) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "2 per minute"
    assert [log_in(known, user.email, "wrong").status_code for _ in range(3)] == [401, 401, 429]
    assert log_in(app.test_client(), user.email).status_code == 302


def test_many_cookies_do_not_give_more_guesses(app: Flask, user: User) -> None:
    browsers = [logged_in(app, user.email) for _ in range(LIMIT + 2)]
    form = {"present": "wrong", "password": OTHER}
    guesses = [send(browser, "/auth/password", **form).status_code for browser in browsers]
    assert guesses == [401] * (LIMIT + 1) + [429], "the limit, then one per minute"


def test_a_forged_device_cookie_is_ignored(app: Flask, user: User, known: FlaskClient) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "1 per minute"
    cookie = known.get_cookie("device", path="/auth")
    assert cookie
    assert (cookie.http_only, cookie.same_site) == (True, "Lax")
    assert log_in(clean(app, 1), user.email, "wrong").status_code == 401
    for forged in ("", "x.y.z", "\u00e9", cookie.value[:-1]):
        browser = clean(app, 1)
        browser.set_cookie("device", forged, path="/auth")
        assert log_in(browser, user.email).status_code == 429, forged


def test_strangers_who_ask_for_emails_do_not_keep_the_owner_from_getting_one(
    app: Flask, user: User, known: FlaskClient
) -> None:
    assert [sign_up(clean(app, number), user.email).status_code for number in range(LIMIT + 2)][-1] == 429
    resets = [send(clean(app, number), "/auth/reset", email=user.email) for number in range(10, 12 + LIMIT)]
    assert [answer.status_code for answer in resets] == [200] * (LIMIT + 1) + [429], "sign-ups must not count"
    assert 0 < int(resets[-1].headers["Retry-After"]) <= QUARTER
    assert send(known, "/auth/reset", email=user.email).status_code == 200


def test_emails_are_limited_by_client(app: Flask) -> None:
    asked = [send(clean(app, 1), "/auth/reset", email=email).status_code for email in (UNKNOWN, "other@news.example")]
    assert asked == [200, 429]


def test_a_guess_counts_for_the_account_whatever_the_form_contains(app: Flask, reader: FlaskClient) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "2 per minute"
    sign_up(clean(app, 1))
    pages = {"/auth/password": (reader, {"present": "wrong", "password": OTHER})}
    pages[link("confirm", UNKNOWN)] = (clean(app, 2), {"password": "wrong"})
    for path, (browser, form) in pages.items():
        guesses = [send(browser, path, **form, email=f"{number}@x.example").status_code for number in range(3)]
        assert guesses == [401, 401, 429], path
