"""Helpers for tests of accounts: forms, queued e-mails, links."""

from collections.abc import Callable
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from app.accounts import tokens, users
from app.database.models import Mail, User
from app.extensions import db
from tests.unit.app.conftest import PASSWORD, csrf_token

OTHER = "another good password"
UNKNOWN = "nobody@news.example"


def send(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Submit the form of a page as a browser does."""
    return client.post(path, data=fields | {"csrf_token": csrf_token(client.get(path))})


def sign_up(client: FlaskClient, email: str = UNKNOWN, **fields: str) -> TestResponse:
    """Sign up."""
    return send(client, "/auth/signup", **({"name": "Nobody Known", "email": email, "password": PASSWORD} | fields))


def find(email: str) -> User | None:
    """The account of an address."""
    return db.read(lambda session: users.find_user(session, email), primary=True)


def queued_emails() -> list[tuple[str, str]]:
    """Kind and recipient of every queued e-mail, oldest first."""
    return db.read(
        lambda session: [(mail.kind, mail.recipient) for mail in session.scalars(select(Mail).order_by(Mail.id))]
    )


def link(kind: str, email: str) -> str:
    """The path of a link in an e-mail."""
    user = find(email)
    assert user is not None
    return f"/auth/{kind}/{tokens.make(kind, user)}"


def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record the calls of argon2, which take nearly all the time of a request."""
    calls: list[str] = []
    for name in ("hash", "verify"):
        monkeypatch.setattr(f"argon2.PasswordHasher.{name}", _recording(calls, name))
    return calls


def _recording(calls: list[str], name: str) -> Callable[..., Any]:
    original = getattr(PasswordHasher, name)

    def recorded(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    return recorded
