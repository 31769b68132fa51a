"""Accounts whose address an older version stored by other rules: `straße.example` as `strasse.example` (IDNA 2003)."""

from collections.abc import Callable

import pytest
from click.testing import Result
from flask import Flask
from sqlalchemy import select

from app.accounts import old_addresses
from app.database.models import Mail, User
from app.extensions import db
from app.mail import outbox
from tests.unit.app.conftest import add_user, change, log_in, logged_in, send

Run = Callable[..., Result]
# As the user enters it, as a browser may send it, as today's rules store it, and as the old ones did.
TYPED, SENT, STORED = "x@straße.example", "X@xn--strae-oqa.example", "x@strasse.example"
REFUSED_TODAY = "x@xn--53h.example"  # of x@☕.example


@pytest.mark.parametrize(
    ("typed", "old"),
    [
        (TYPED, STORED),
        (SENT, STORED),
        ("x@βόλο\N{GREEK SMALL LETTER FINAL SIGMA}.example", "x@xn--nxasmq6b.example"),
        ("x@☕.example", REFUSED_TODAY),
        ("x@bücher.example", None),
        (STORED, None),
        ("nonsense", None),
        ("\0@☕.example", None),
        ("x@" + "ß" * 64 + ".example", None),
    ],
)
def test_the_old_form_is_known_where_it_differs(typed: str, old: str | None) -> None:
    assert old_addresses.old_form(typed) == old


@pytest.mark.parametrize("typed", [TYPED, SENT, STORED])
def test_the_password_of_an_account_of_the_old_form_is_accepted_for_each_spelling(app: Flask, typed: str) -> None:
    add_user(app, STORED)
    assert log_in(app.test_client(), typed).status_code == 302
    assert log_in(app.test_client(), typed, "wrong").status_code == 401


def test_guesses_count_for_the_account_that_they_try(app: Flask) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "2 per minute"
    add_user(app, STORED)
    statuses = [log_in(app.test_client(), typed, "wrong").status_code for typed in (TYPED, SENT, STORED)]
    assert statuses == [401, 401, 429]


def test_a_new_account_of_the_same_spelling_has_its_own_password(app: Flask) -> None:
    """The owner of strasse.example must not get into the account of the owner of straße.example, nor vice versa."""
    add_user(app, STORED, password="the password of strasse")
    add_user(app, TYPED, password="the password of straße")
    assert log_in(app.test_client(), TYPED, "the password of strasse").status_code == 401
    assert log_in(app.test_client(), STORED, "the password of straße").status_code == 401
    assert log_in(app.test_client(), TYPED, "the password of straße").status_code == 302


def test_no_link_to_an_account_goes_to_the_other_domain(app: Flask) -> None:
    add_user(app, STORED)
    assert send(app.test_client(), "/auth/reset", email=TYPED).status_code == 200
    queued = db.read(lambda session: session.scalars(select(Mail)).one(), primary=True)
    assert (queued.recipient, outbox.send(queued.id)) == (SENT.lower(), False)


@pytest.fixture
def refused(user: User) -> str:
    """A user whose stored address today's rules refuse."""
    change(user, email=REFUSED_TODAY)
    return REFUSED_TODAY


@pytest.mark.parametrize("typed", ["X@☕.example", REFUSED_TODAY.upper()])
def test_an_address_that_is_refused_today_still_works_for_its_account(app: Flask, refused: str, typed: str) -> None:
    assert log_in(app.test_client(), typed).status_code == 302
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "1 per minute"
    statuses = [log_in(app.test_client(), email, "wrong").status_code for email in (typed, refused)]
    assert statuses == [401, 429]


def test_affected_addresses_are_listed_and_can_be_changed(app: Flask, run: Run, refused: str) -> None:
    add_user(app, STORED)
    add_user(app, "x@bücher.example")
    listed = run("users", "check-addresses").output.splitlines()
    assert [line.partition("\t")[0] for line in listed] == [STORED, refused]
    assert listed[0].endswith("\tmay have been entered as x@straße.example")
    assert "\tis not accepted any more: " in listed[1]
    browser = logged_in(app, STORED)
    assert run("users", "set-address", STORED, TYPED).output == f"{STORED} is now {SENT.lower()}\n"
    assert browser.get("/account").status_code == 302, "all sessions end"
    assert log_in(app.test_client(), TYPED).status_code == 302
    taken = run("users", "set-address", refused, TYPED)
    assert (taken.exit_code, taken.output) == (1, f"Error: there is already a user {SENT.lower()}\n")
    assert run("users", "set-address", refused, "x@cafe.example").exit_code == 0
