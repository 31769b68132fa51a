"""An application with a relay whose e-mails are only recorded, and helpers: accounts, queued e-mails, links."""

from functools import partialmethod
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.accounts import tokens, users
from app.database.models import Mail
from app.extensions import db
from tests.unit.app.conftest import PASSWORD, send

OTHER = "another good password"
UNKNOWN = "nobody@news.example"


@pytest.fixture
def settings() -> dict[str, Any]:
    """The URL of a relay. No test here connects to it."""
    return {"MAIL_URL": "smtp://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """IDs of the delivered e-mails."""
    email_ids: list[int] = []
    monkeypatch.setattr("app.mail.outbox.deliver", email_ids.append)
    return email_ids


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The calls of argon2, which take nearly all the time of a request."""
    calls: list[str] = []

    def record(hasher: PasswordHasher, name: str, original: Any, *args: Any) -> Any:
        calls.append(name)
        return original(hasher, *args)

    for name in ("hash", "verify"):
        recorded = partialmethod(record, name, getattr(PasswordHasher, name))
        monkeypatch.setattr(PasswordHasher, name, recorded)
    return calls


def sign_up(client: FlaskClient, email: str = UNKNOWN, **fields: str) -> TestResponse:
    """Sign up."""
    return send(client, "/auth/signup", **({"name": "Nobody Known", "email": email, "password": PASSWORD} | fields))


def find(email: str) -> Any:
    """The account of an address, or None."""
    return db.read(lambda session: users.find_user(session, email), primary=True)


def queued_emails() -> list[tuple[str, str]]:
    """Kind and recipient of every queued e-mail, oldest first."""
    return db.read(
        lambda session: [(mail.kind, mail.recipient) for mail in session.scalars(select(Mail).order_by(Mail.id))]
    )


def link(kind: str, email: str) -> str:
    """The path of a link in an e-mail."""
    return f"/auth/{kind}/{tokens.make(kind, find(email))}"
