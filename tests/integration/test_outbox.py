"""The outbox on a real Postgres, which has row locks."""

import threading
from email.message import EmailMessage
from unittest.mock import Mock

import pytest
from flask import Flask

from app.accounts import tokens, users
from app.database.models import Mail
from app.extensions import db
from app.mail import outbox
from app.mail.relay import RelayError


def test_a_second_worker_skips_an_email_that_is_being_sent(app: Flask) -> None:
    db.write(lambda session: users.create_user(session, email="outbox@news.example", password="correct horse battery"))
    email = db.write(lambda session: outbox.queue(session, tokens.RESET, "outbox@news.example"))
    sent: list[EmailMessage] = []
    connected, go_on = threading.Event(), threading.Event()

    def slow_relay(message: EmailMessage) -> None:
        connected.set()
        assert go_on.wait(10)
        sent.append(message)

    def work() -> None:
        with app.app_context():
            outbox.send(email.id)

    app.extensions["mail"] = slow_relay
    first = threading.Thread(target=work)
    first.start()
    assert connected.wait(10)
    assert outbox.send(email.id) is False, "the second worker sent the e-mail too"
    go_on.set()
    first.join()
    assert len(sent) == 1
    assert outbox.send(email.id) is False


def test_an_email_stays_in_the_outbox_while_the_relay_is_down(app: Flask) -> None:
    email = db.write(lambda session: outbox.queue(session, outbox.PASSWORD_CHANGED, "outbox@news.example"))
    relay = app.extensions["mail"] = Mock(side_effect=[RelayError("down"), None])
    with pytest.raises(RelayError):
        outbox.send(email.id)
    assert db.read(lambda session: session.get_one(Mail, email.id), primary=True).sent_at is None
    assert outbox.send(email.id)
    assert relay.call_count == 2
