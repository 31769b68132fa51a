"""The outbox on a real Postgres: a letter that a worker is sending is nobody else's."""

from __future__ import annotations

import threading
from email.message import EmailMessage

import pytest
from flask import Flask

from app.accounts import users
from app.database.models import Mail
from app.extensions import db
from app.mail import emails, outbox
from app.mail.relay import RelayError


def test_a_letter_that_is_being_sent_is_passed_over_without_waiting(app: Flask) -> None:
    db.write(lambda session: users.create_user(session, email="outbox@news.example", password="correct horse battery"))
    letter = db.write(lambda session: emails.post(session, emails.RESET, "outbox@news.example"))
    sent: list[EmailMessage] = []
    talking, go_on = threading.Event(), threading.Event()

    def slow_relay(message: EmailMessage) -> None:
        talking.set()
        assert go_on.wait(10)
        sent.append(message)

    def work() -> None:
        with app.app_context():
            outbox.send(letter.id)

    app.extensions["mail"] = slow_relay
    first = threading.Thread(target=work)
    first.start()
    assert talking.wait(10)
    assert outbox.send(letter.id) is False, "the second worker sends it too, or would have waited for the first"
    go_on.set()
    first.join()
    assert len(sent) == 1
    assert outbox.send(letter.id) is False


def test_a_letter_that_was_not_taken_waits(app: Flask) -> None:
    letter = db.write(lambda session: emails.post(session, emails.PASSWORD_CHANGED, "outbox@news.example"))
    answers: list[EmailMessage] = []

    def away(_: EmailMessage) -> None:
        raise RelayError("away")

    app.extensions["mail"] = away
    with pytest.raises(RelayError):
        outbox.send(letter.id)
    assert db.read(lambda session: session.get_one(Mail, letter.id), primary=True).sent_at is None
    app.extensions["mail"] = answers.append
    assert outbox.send(letter.id)
    assert len(answers) == 1
