from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from celery import Celery
from celery.app import autoretry as celery_autoretry
from celery.contrib.testing.worker import start_worker
from flask import Flask
from sqlalchemy import func, select

from app import config, create_app
from app.accounts import tokens, users
from app.accounts.users import AccountError
from app.database.models import FailedTask, Mail, User, now
from app.extensions import db
from app.mail import emails, outbox, tasks
from app.mail.relay import DeferredError, RefusedError, RelayError
from tests.unit.app.conftest import free_port
from tools.fleet.mail_sink import MailSink

pytestmark = pytest.mark.usefixtures("app")


def queue(kind: str, recipient: str, age: timedelta = timedelta()) -> int:
    def work(session: Any) -> Mail:
        letter = emails.queue(session, kind, recipient)
        letter.created_at = now() - age
        return letter

    return db.write(work).id


def sent(letter_id: int) -> bool:
    return db.read(lambda session: session.get_one(Mail, letter_id)).sent_at is not None


def deliver(kind: str, recipient: str) -> bool:
    letter_id = queue(kind, recipient)
    emails.deliver(letter_id)
    return sent(letter_id)


def failures() -> int:
    return db.read(lambda session: session.scalar(select(func.count()).select_from(FailedTask)) or 0)


class Relay:
    """A transport that answers as it is told, then takes every letter."""

    def __init__(self, app: Flask, *answers: Exception) -> None:
        self.answers = list(answers)
        self.taken: list[EmailMessage] = []
        app.extensions["mail"] = self

    def __call__(self, message: EmailMessage) -> None:
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append(message)


def test_a_letter_goes_through_a_real_conversation(user: User) -> None:
    port = free_port()
    app = create_app(
        config.Testing(
            DATABASE_URL=str(db.primary.url), MAIL_URL=f"smtp://127.0.0.1:{port}", SITE_URL="https://news.example/"
        )
    )
    with app.app_context(), MailSink("127.0.0.1", port) as sink:
        assert deliver(emails.RESET, user.email)
        letter = sink.wait_for(user.email, subject="new password")
        db.primary.dispose()
    assert letter["From"] == "The Daily Flask <no-reply@localhost>"
    assert letter["Subject"] == "Choose a new password for The Daily Flask"
    assert letter["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<\d{14}\.\d+@localhost>", letter["Message-ID"])
    assert abs(letter["Date"].datetime - now()) < timedelta(minutes=1)
    link = re.search(r"^https://news\.example/auth/reset/(\S+)$", letter.get_content(), re.MULTILINE)
    assert link, letter.get_content()
    found = db.read(lambda session: tokens.find_user(session, tokens.RESET, link[1]))
    assert found is not None
    assert found.id == user.id


def test_each_kind_says_what_it_is_about(app: Flask, user: User, letters: list[EmailMessage]) -> None:
    confirmed, user.confirmed_at = user.confirmed_at, None
    db.write(lambda session: session.merge(user))
    for kind in outbox.LIFETIMES:
        assert deliver(kind, "  Ada@NEWS.example ")
    assert confirmed
    assert [letter["Subject"] for letter in letters] == [
        "Confirm your address for The Daily Flask",
        "Choose a new password for The Daily Flask",
        "You already have an account at The Daily Flask",
        "Your password for The Daily Flask has changed",
    ]
    rules = [re.sub(r"<.*", "", rule.rule) for rule in app.url_map.iter_rules()]
    for letter in letters:
        (path,) = re.findall(r"http://localhost(/\S+)", letter.get_content())
        assert [rule for rule in rules if path.startswith(rule)], path
        assert "Ada" not in letter.get_content(), "a name was repeated to an address that nobody has confirmed"


@pytest.mark.parametrize("kind", outbox.LIFETIMES)
def test_a_letter_to_nobody_is_dropped(kind: str, letters: list[EmailMessage]) -> None:
    assert deliver(kind, "nobody@news.example")
    assert letters == []


@pytest.mark.parametrize("kind", outbox.LIFETIMES)
def test_a_letter_to_a_deactivated_account_is_dropped(kind: str, user: User, letters: list[EmailMessage]) -> None:
    user.is_active = False
    db.write(lambda session: session.merge(user))
    assert deliver(kind, user.email)
    assert letters == []


def test_nobody_is_asked_to_confirm_twice(user: User, letters: list[EmailMessage]) -> None:
    assert deliver(emails.CONFIRM, user.email)
    assert letters == []


def test_a_letter_that_is_too_late_is_not_sent(user: User, letters: list[EmailMessage]) -> None:
    for age in (timedelta(minutes=59), timedelta(minutes=61)):
        letter_id = queue(emails.RESET, user.email, age)
        emails.deliver(letter_id)
        assert sent(letter_id)
    assert len(letters) == 1


def test_a_letter_is_sent_once(user: User, letters: list[EmailMessage]) -> None:
    letter_id = queue(emails.RESET, user.email)
    for _ in range(3):
        emails.deliver(letter_id)
    tasks.send_forgotten_emails()
    assert len(letters) == 1


def test_of_two_workers_one_sends_a_letter(app: Flask, user: User) -> None:
    letter_id = queue(emails.RESET, user.email)
    taken: list[EmailMessage] = []
    both = threading.Barrier(2)

    def slowly(message: EmailMessage) -> None:
        # The other one comes while this one talks to the relay.
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        taken.append(message)

    def work() -> None:
        with app.app_context():
            outbox.send(letter_id)

    app.extensions["mail"] = slowly
    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(taken) == 1


def test_a_worker_tries_again_until_the_relay_is_back(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    celery: Celery = app.extensions["celery"]
    celery.conf.task_always_eager = False
    monkeypatch.setattr(celery_autoretry, "get_exponential_backoff_interval", lambda **_: 0)
    relay = Relay(app, RelayError("away"), DeferredError("the relay answers 450"))
    letter_id = queue(emails.RESET, user.email)
    with start_worker(celery, perform_ping_check=False, pool="solo", loglevel="CRITICAL"):
        emails.deliver(letter_id)
        wait(lambda: sent(letter_id))
    assert len(relay.taken) == 1
    assert failures() == 0


def test_a_letter_waits_in_the_outbox_while_the_relay_is_away(app: Flask, user: User) -> None:
    letters = [queue(emails.RESET, user.email, timedelta(minutes=minutes)) for minutes in (3, 2)]
    relay = Relay(app, RelayError("away"))
    tasks.send_forgotten_emails()
    assert not any(map(sent, letters)), "a relay that is away is asked once"
    tasks.send_forgotten_emails()
    assert all(map(sent, letters))
    assert len(relay.taken) == 2


def test_a_letter_that_must_wait_holds_up_no_other(app: Flask, user: User) -> None:
    first, second, third = (queue(emails.RESET, user.email, timedelta(minutes=minutes)) for minutes in (4, 3, 2))
    relay = Relay(app, DeferredError("the relay answers 450"), RuntimeError("broken"))
    tasks.send_forgotten_emails()
    assert [sent(first), sent(second), sent(third)] == [False, False, True]
    assert failures() == 1, "what nobody expected is seen by administrators"
    tasks.send_forgotten_emails()
    assert len(relay.taken) == 3


def test_the_sweep_leaves_a_letter_to_its_task_at_first(user: User, letters: list[EmailMessage]) -> None:
    letter_id = queue(emails.RESET, user.email)
    tasks.send_forgotten_emails()
    assert not sent(letter_id)
    assert letters == []


def test_a_refused_letter_is_noted_and_not_tried_again(
    app: Flask, user: User, caplog: pytest.LogCaptureFixture
) -> None:
    relay = Relay(app, RefusedError("the relay answers 550"))
    letter_id = queue(emails.RESET, user.email, timedelta(minutes=2))
    tasks.send_email.apply((letter_id,))
    tasks.send_forgotten_emails()
    assert relay.taken == []
    assert failures() == 0
    (note,) = (record.msg for record in caplog.records if record.name == "app.mail.outbox")
    assert isinstance(note, dict)
    assert (note["event"], note["level"]) == ("e-mail refused", "warning")
    assert (note["email_id"], note["kind"], note["reason"]) == (letter_id, "reset", "the relay answers 550")


def test_nothing_secret_is_logged(app: Flask, user: User, caplog: pytest.LogCaptureFixture) -> None:
    relay = Relay(app, RuntimeError("broken"))
    letter_id = queue(emails.RESET, user.email)
    with caplog.at_level("DEBUG"):
        for _ in range(2):
            tasks.send_email.apply((letter_id,))
    link = re.search(r"/auth/reset/(\S+)", relay.taken[0].get_content())
    assert link
    assert "e-mail sent" in caplog.text
    for secret in (link[1], user.email):
        assert secret not in caplog.text


@pytest.mark.usefixtures("app")
@pytest.mark.parametrize(
    "email", ["a,b@news.example", "a\r\nbcc:x@news.example", "<x@news.example>", "a@b.c@news.example", "ü@news.example"]
)
def test_an_address_adds_no_header_and_no_recipient(email: str) -> None:
    """Nobody can have such an account; the letter does not rely on it."""
    with pytest.raises(AccountError):
        users.normalise_email(email)
    with suppress(RefusedError):
        letter = outbox.compose(1, emails.EXISTS, User(email=email), now())
        assert letter["Bcc"] is None
        assert len(letter["To"].addresses) == 1


def test_a_site_whose_name_is_no_header_sends_nothing(app: Flask, user: User, letters: list[EmailMessage]) -> None:
    app.config["SITE_NAME"] = "News\r\nBcc: everybody@news.example"
    tasks.send_email.apply((queue(emails.EXISTS, user.email),))
    assert letters == []


def test_letters_of_last_month_are_forgotten() -> None:
    old, young = (queue(emails.RESET, "a@news.example", timedelta(days=days)) for days in (31, 29))
    tasks.forget_emails()
    assert db.read(lambda session: list(session.scalars(select(Mail.id)))) == [young], old


def test_beat_sends_and_forgets_letters(app: Flask) -> None:
    schedule = app.extensions["celery"].conf.beat_schedule
    assert {tasks.send_forgotten_emails.name, tasks.forget_emails.name} <= {
        entry["task"] for entry in schedule.values()
    }


def test_development_shows_letters(capsys: pytest.CaptureFixture[str], user: User) -> None:
    app = create_app(config.Development(DATABASE_URL=str(db.primary.url)))
    with app.app_context():
        assert emails.enabled()
        assert deliver(emails.RESET, user.email)
        db.primary.dispose()
    shown = capsys.readouterr().out
    assert f"To: {user.email}\nSubject: Choose a new password" in shown
    assert re.search(r"^http://localhost:5000/auth/reset/[\w.-]+$", shown, re.MULTILINE)


def test_production_without_a_relay_keeps_letters_and_says_so(user: User) -> None:
    redis = "redis://127.0.0.1:1/0"
    app = create_app(
        config.Production(SECRET_KEY="k" * 32, DATABASE_URL=str(db.primary.url), CACHE_URL=redis, STORE_URL=redis)
    )
    letter_id = queue(emails.RESET, user.email, timedelta(minutes=2))
    with app.app_context():
        assert not emails.enabled()
        tasks.send_forgotten_emails()
        assert outbox.send(letter_id) is False
        assert not sent(letter_id)
        db.primary.dispose()


def test_an_unknown_kind_of_letter_is_a_mistake() -> None:
    with pytest.raises(LookupError):
        queue("newsletter", "ada@news.example")


def wait(until: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not until() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert until()
