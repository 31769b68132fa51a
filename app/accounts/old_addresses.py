"""Addresses that versions before 0.1.0 stored in another form: by IDNA 2003, in which `straße` is `strasse`.

Today they are two domains, which may have two owners. So only a log-in with the right password finds an account under
the old form of an address. No e-mail is sent to the old form.
"""

import re
from contextlib import suppress

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.accounts import users
from app.accounts.users import AccountError
from app.database.models import User

# At the end of a word, the letter sigma has a form of its own, which IDNA 2003 stored as the usual one.
SIGMA, FINAL_SIGMA = "\N{GREEK SMALL LETTER SIGMA}", "\N{GREEK SMALL LETTER FINAL SIGMA}"


def old_form(email: str) -> str | None:
    """Return the form in which an old version stored this address, if it differs from today's."""
    today, text = "", email.strip().lower()
    with suppress(AccountError):
        checked = users.check_email(email)
        today, text = str(checked.ascii_email), checked.normalized
    local, _, domain = text.rpartition("@")
    with suppress(UnicodeError):
        old = f"{local}@{domain.encode('idna').decode()}"
        if local and old not in {today, text} and old.isascii() and old.isprintable():
            return old
    return None


def of_account(session: Session, email: str) -> str:
    """Return the address whose password to check: the old form if only that one has an account."""
    old, current = old_form(email), None
    with suppress(AccountError):
        current = users.find_user(session, email)
    return old if old and not current and users.find_user(session, old) else email


def suspects(session: Session) -> list[tuple[str, str]]:
    """Return the stored addresses that an old version may have changed, each with what it means."""
    found = ((email, _meaning(email)) for email in session.scalars(select(User.email).order_by(User.email)))
    return [(email, meaning) for email, meaning in found if meaning]


def _meaning(stored: str) -> str:
    """Return how a stored address may have been entered, or why it is not accepted today. Empty if it is right."""
    try:
        checked = users.check_email(stored)
    except AccountError as error:
        return f"is not accepted any more: {error}"
    # IDNA 2003 also left out the two invisible joiners, which today's rules refuse in addresses.
    typed = f"{checked.local_part}@{re.sub(rf'{SIGMA}(?=[.]|$)', FINAL_SIGMA, checked.domain.replace('ss', 'ß'))}"
    return f"may have been entered as {typed}" if old_form(typed) == stored else ""
