import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from email.message import EmailMessage
from itertools import product
from typing import Any

import pytest
from celery.app import autoretry as celery_autoretry
from celery.exceptions import SoftTimeLimitExceeded
from flask import Flask
from sqlalchemy import func, select

from app import config, create_app
from app.accounts import tokens, users
from app.accounts.users import AccountError
from app.database.models import FailedTask, Mail, User, now
from app.extensions import db
from app.mail import outbox, tasks
from app.mail.relay import DeferredError, RefusedError, RelayError
from tests.support.live.fleet import eventually
from tests.support.sockets import free_port
from tests.unit.app.conftest import change, search, stored
from tools.fleet.mail_sink import MailSink

pytestmark = pytest.mark.usefixtures("app")


def queue(kind: str, recipient: str, age: timedelta = timedelta()) -> int:
    """Add an e-mail of some age to the outbox; return its ID."""

    def work(session: Any) -> Mail:
        email = outbox.queue(session, kind, recipient)
        email.created_at = now() - age
        return email

    return db.write(work).id


def sent(email_id: int) -> bool:
    """Whether an e-mail was sent."""
    return stored(Mail, email_id).sent_at is not None


def deliver(kind: str, recipient: str, age: timedelta = timedelta()) -> bool:
    """Queue an e-mail and deliver it; return whether it was sent."""
    email_id = queue(kind, recipient, age)
    outbox.deliver(email_id)
    return sent(email_id)


def failures() -> int:
    """The number of dead letters."""
    return db.read(lambda session: session.scalar(select(func.count()).select_from(FailedTask)) or 0)


class Relay:
    """A transport that raises the given errors first, then accepts every e-mail."""

    def __init__(self, app: Flask, *answers: Exception) -> None:
        self.answers = list(answers)
        self.taken: list[EmailMessage] = []
        app.extensions["mail"] = self

    def __call__(self, message: EmailMessage) -> None:
        """Send an e-mail."""
        if self.answers:
            raise self.answers.pop(0)
        self.taken.append(message)


def test_an_email_is_sent_by_smtp(user: User) -> None:
    port = free_port()
    app = create_app(
        config.Testing(
            DATABASE_URL=str(db.primary.url), MAIL_URL=f"smtp://127.0.0.1:{port}", SITE_URL="https://news.example/"
        )
    )
    with app.app_context(), MailSink("127.0.0.1", port) as sink:
        assert deliver(tokens.RESET, user.email)
        email = sink.wait_for(user.email, subject="new password")
        db.primary.dispose()
    assert email["From"] == "The Daily Flask <no-reply@localhost>"
    assert email["Subject"] == "Choose a new password for The Daily Flask"
    assert email["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<\d{14}\.\d+@localhost>", email["Message-ID"])
    assert abs(email["Date"].datetime - now()) < timedelta(minutes=1)
    token = search(r"^https://news\.example/auth/reset/(\S+)$", email.get_content())
    found = db.read(lambda session: tokens.find_user(session, tokens.RESET, token))
    assert found is not None
    assert found.id == user.id


def test_each_kind_of_email_has_its_subject_and_link(app: Flask, user: User, sent_emails: list[EmailMessage]) -> None:
    assert user.confirmed_at
    change(user, confirmed_at=None)
    for kind in outbox.LIFETIMES:
        assert deliver(kind, "  Ada@NEWS.example ")
    assert [email["Subject"] for email in sent_emails] == [
        "Confirm your address for The Daily Flask",
        "Choose a new password for The Daily Flask",
        "You already have an account at The Daily Flask",
        "Your password for The Daily Flask has changed",
    ]
    rules = [re.sub(r"<.*", "", rule.rule) for rule in app.url_map.iter_rules()]
    for email in sent_emails:
        (path,) = re.findall(r"http://localhost(/\S+)", email.get_content())
        assert [rule for rule in rules if path.startswith(rule)], path
        assert "Ada" not in email.get_content(), "an e-mail to an unconfirmed address must not contain the name"


@pytest.mark.parametrize(
    ("account", "kind"), [*product(["missing", "deactivated"], outbox.LIFETIMES), ("confirmed", outbox.CONFIRM)]
)
def test_an_email_without_a_recipient_is_dropped(
    account: str, kind: str, user: User, sent_emails: list[EmailMessage]
) -> None:
    change(user, is_active=account != "deactivated")
    assert deliver(kind, "nobody@news.example" if account == "missing" else user.email)
    assert sent_emails == []


def test_an_expired_email_is_not_sent(user: User, sent_emails: list[EmailMessage]) -> None:
    for minutes in (59, 61):
        assert deliver(tokens.RESET, user.email, timedelta(minutes=minutes))
    assert len(sent_emails) == 1


def test_an_email_is_sent_once(user: User, sent_emails: list[EmailMessage]) -> None:
    email_id = queue(tokens.RESET, user.email)
    for _ in range(3):
        outbox.deliver(email_id)
    tasks.send_forgotten_emails()
    assert len(sent_emails) == 1


def test_only_one_of_two_workers_sends_an_email(app: Flask, user: User) -> None:
    email_id = queue(tokens.RESET, user.email)
    taken: list[EmailMessage] = []
    both = threading.Barrier(2)

    def slowly(message: EmailMessage) -> None:
        # The other worker runs while this one talks to the relay.
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        taken.append(message)

    def work(_: int) -> None:
        with app.app_context():
            outbox.send(email_id)

    app.extensions["mail"] = slowly
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2)))
    assert len(taken) == 1


@pytest.mark.usefixtures("worker")
def test_a_worker_retries_until_the_relay_is_back(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(celery_autoretry, "get_exponential_backoff_interval", lambda **_: 0)
    relay = Relay(app, RelayError("down"), DeferredError("the relay answers 450"))
    email_id = queue(tokens.RESET, user.email)
    outbox.deliver(email_id)
    assert eventually(lambda: sent(email_id))
    assert len(relay.taken) == 1
    assert failures() == 0


def test_an_email_waits_in_the_outbox_while_the_relay_is_down(app: Flask, user: User) -> None:
    queued = [queue(tokens.RESET, user.email, timedelta(minutes=minutes)) for minutes in (3, 2)]
    relay = Relay(app, RelayError("down"))
    tasks.send_forgotten_emails()
    assert not any(map(sent, queued)), "the task must stop after the first RelayError"
    tasks.send_forgotten_emails()
    assert all(map(sent, queued))
    assert len(relay.taken) == 2


def test_a_deferred_email_does_not_block_others(app: Flask, user: User) -> None:
    first, second, third = (queue(tokens.RESET, user.email, timedelta(minutes=minutes)) for minutes in (4, 3, 2))
    relay = Relay(app, DeferredError("the relay answers 450"), RuntimeError("broken"))
    tasks.send_forgotten_emails()
    assert [sent(first), sent(second), sent(third)] == [False, False, True]
    assert failures() == 1, "an unexpected error becomes a dead letter"
    tasks.send_forgotten_emails()
    assert len(relay.taken) == 3


def test_a_time_limit_ends_the_periodic_task_and_is_no_failure_of_an_email(app: Flask, user: User) -> None:
    queued = [queue(tokens.RESET, user.email, timedelta(minutes=minutes)) for minutes in (3, 2)]
    Relay(app, SoftTimeLimitExceeded())
    with pytest.raises(SoftTimeLimitExceeded):
        tasks.send_forgotten_emails()
    assert not any(map(sent, queued)), "the task went on"
    assert failures() == 0


def test_the_periodic_task_skips_new_emails(user: User, sent_emails: list[EmailMessage]) -> None:
    email_id = queue(tokens.RESET, user.email)
    tasks.send_forgotten_emails()
    assert not sent(email_id)
    assert sent_emails == []


def test_a_refused_email_is_logged_and_not_retried(app: Flask, user: User, caplog: pytest.LogCaptureFixture) -> None:
    relay = Relay(app, RefusedError("the relay answers 550"))
    email_id = queue(tokens.RESET, user.email, timedelta(minutes=2))
    tasks.send_email.apply((email_id,))
    tasks.send_forgotten_emails()
    assert relay.taken == []
    assert failures() == 0
    (note,) = (record.msg for record in caplog.records if record.name == "app.mail.outbox")
    assert isinstance(note, dict)
    assert (note["event"], note["level"]) == ("e-mail refused", "warning")
    assert (note["email_id"], note["kind"], note["reason"]) == (email_id, "reset", "the relay answers 550")


def test_no_secret_is_logged(app: Flask, user: User, caplog: pytest.LogCaptureFixture) -> None:
    relay = Relay(app, RuntimeError("broken"))
    email_id = queue(tokens.RESET, user.email)
    with caplog.at_level("DEBUG"):
        for _ in range(2):
            tasks.send_email.apply((email_id,))
    token = search(r"/auth/reset/(\S+)", relay.taken[0].get_content())
    assert "e-mail sent" in caplog.text
    for secret in (token, user.email):
        assert secret not in caplog.text


@pytest.mark.parametrize(
    "email", ["a,b@news.example", "a\r\nbcc:x@news.example", "<x@news.example>", "a@b.c@news.example", "ü@news.example"]
)
def test_an_address_cannot_add_headers_or_recipients(email: str) -> None:
    """No account can have such an address. Even if one had it, the e-mail would be safe."""
    with pytest.raises(AccountError):
        users.normalise_email(email)
    with suppress(RefusedError):
        message = outbox.compose(1, outbox.EXISTS, User(email=email), now())
        assert message["Bcc"] is None
        assert len(message["To"].addresses) == 1


def test_a_site_name_that_is_not_valid_in_a_header_sends_nothing(
    app: Flask, user: User, sent_emails: list[EmailMessage]
) -> None:
    app.config["SITE_NAME"] = "News\r\nBcc: everybody@news.example"
    tasks.send_email.apply((queue(outbox.EXISTS, user.email),))
    assert sent_emails == []


def test_emails_older_than_a_month_are_deleted() -> None:
    old, young = (queue(tokens.RESET, "a@news.example", timedelta(days=days)) for days in (31, 29))
    tasks.forget_emails()
    assert db.read(lambda session: list(session.scalars(select(Mail.id)))) == [young], old


def test_development_prints_emails(capsys: pytest.CaptureFixture[str], user: User) -> None:
    app = create_app(config.Development(DATABASE_URL=str(db.primary.url)))
    with app.app_context():
        assert outbox.enabled()
        assert deliver(tokens.RESET, user.email)
        db.primary.dispose()
    shown = capsys.readouterr().out
    assert f"To: {user.email}\nSubject: Choose a new password" in shown
    assert re.search(r"^http://localhost:5000/auth/reset/[\w.-]+$", shown, re.MULTILINE)


def test_production_without_a_relay_keeps_emails(user: User) -> None:
    redis = "redis://127.0.0.1:1/0"
    app = create_app(
        config.Production(SECRET_KEY="k" * 32, DATABASE_URL=str(db.primary.url), CACHE_URL=redis, STORE_URL=redis)
    )
    email_id = queue(tokens.RESET, user.email, timedelta(minutes=2))
    with app.app_context():
        assert not outbox.enabled()
        tasks.send_forgotten_emails()
        assert outbox.send(email_id) is False
        assert not sent(email_id)
        db.primary.dispose()


def test_an_unknown_kind_of_email_is_an_error() -> None:
    with pytest.raises(LookupError):
        queue("newsletter", "ada@news.example")
