"""What the tests of accounts do with forms and letters."""

from __future__ import annotations

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
    """Send the form of a page as a browser does."""
    return client.post(path, data=fields | {"csrf_token": csrf_token(client.get(path))})


def sign_up(client: FlaskClient, email: str = UNKNOWN, **fields: str) -> TestResponse:
    """Sign up."""
    return send(client, "/auth/signup", **({"name": "Nobody Known", "email": email, "password": PASSWORD} | fields))


def find(email: str) -> User | None:
    """The account of an address."""
    return db.read(lambda session: users.find_user(session, email), primary=True)


def letters() -> list[tuple[str, str]]:
    """Kind and recipient of every letter, oldest first."""
    return db.read(
        lambda session: [(mail.kind, mail.recipient) for mail in session.scalars(select(Mail).order_by(Mail.id))]
    )


def link(kind: str, email: str) -> str:
    """The path of a link in a letter."""
    user = find(email)
    assert user is not None
    return f"/auth/{kind}/{tokens.make(kind, user)}"


def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls of argon2, the only thing here that takes long."""
    calls: list[str] = []
    for name in ("hash", "verify"):
        monkeypatch.setattr(f"argon2.PasswordHasher.{name}", _noting(calls, name))
    return calls


def _noting(calls: list[str], name: str) -> Callable[..., Any]:
    original = getattr(PasswordHasher, name)

    def noting(*args: Any, **kwargs: Any) -> Any:
        calls.append(name)
        return original(*args, **kwargs)

    return noting
