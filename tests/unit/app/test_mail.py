from __future__ import annotations

import re
from email.message import EmailMessage

import pytest

from app import mail, tokens
from app.extensions import db
from app.models import Mail, User


def deliver(kind: str, recipient: str) -> Mail:
    letter = db.write(lambda session: mail.post(session, kind, recipient))
    mail.deliver(letter.id)
    return db.read(lambda session: session.get_one(Mail, letter.id))


def test_a_link_in_a_letter_is_the_accounts(user: User, letters: list[EmailMessage]) -> None:
    assert deliver(mail.RESET, user.email).sent_at
    (letter,) = letters
    link = re.search(r"http://localhost/auth/reset/(\S+)", letter.get_content())
    assert link
    found = db.read(lambda session: tokens.find_user(session, tokens.RESET, link[1]))
    assert found is not None
    assert found.id == user.id


@pytest.mark.parametrize("kind", [mail.CONFIRM, mail.EXISTS, mail.RESET, mail.PASSWORD_CHANGED])
def test_a_letter_to_nobody_is_dropped(kind: str, letters: list[EmailMessage]) -> None:
    assert deliver(kind, "nobody@news.example").sent_at
    assert letters == []
