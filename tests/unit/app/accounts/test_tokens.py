import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask import Flask
from itsdangerous import TimestampSigner

from app.accounts import tokens
from app.accounts.tokens import CONFIRM, RESET, TokenError
from app.database.models import User
from app.extensions import db
from tests.unit.app.conftest import add_user, change


def found(kind: str, token: str) -> User | None:
    return db.read(lambda session: tokens.find_user(session, kind, token))


def later(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(time.time() + by.total_seconds()))


@pytest.mark.parametrize("kind", [CONFIRM, RESET])
def test_a_token_finds_its_user(kind: str, user: User) -> None:
    token = tokens.make(kind, user)
    assert getattr(found(kind, token), "id", None) == user.id == tokens.read(kind, token)[0]


@pytest.mark.parametrize("kind", [CONFIRM, RESET])
def test_a_token_expires(kind: str, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tokens.make(kind, user)
    later(monkeypatch, tokens.LIFETIMES[kind] - timedelta(seconds=5))
    assert found(kind, token)
    later(monkeypatch, tokens.LIFETIMES[kind] + timedelta(seconds=5))
    assert found(kind, token) is None
    with pytest.raises(TokenError):
        tokens.read(kind, token)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (RESET, {"password_hash": "another"}),
        (RESET, {"session_epoch": 1}),
        (RESET, {"email": "other@news.example"}),
        (RESET, {"is_active": False}),
        (CONFIRM, {"confirmed_at": datetime(2026, 1, 1, tzinfo=UTC)}),
        (CONFIRM, {"email": "other@news.example"}),
        (CONFIRM, {"is_active": False}),
    ],
    ids=str,
)
def test_a_link_becomes_invalid_when_its_data_changes(user: User, kind: str, values: dict[str, Any]) -> None:
    change(user, confirmed_at=None)
    user.confirmed_at = None
    token = tokens.make(kind, user)
    assert found(kind, token)
    change(user, **values)
    assert found(kind, token) is None


def test_a_confirmation_link_survives_a_log_in_and_a_new_password(user: User) -> None:
    token = tokens.make(CONFIRM, user)
    change(user, password_hash="another", session_epoch=4)
    assert found(CONFIRM, token)


def test_a_token_of_another_kind_is_invalid(user: User) -> None:
    assert found(RESET, tokens.make(CONFIRM, user)) is None
    assert found(CONFIRM, tokens.make(RESET, user)) is None


@pytest.mark.parametrize("place", [0, 1, 2], ids=["payload", "timestamp", "signature"])
def test_a_changed_token_is_invalid(user: User, place: int) -> None:
    parts = tokens.make(RESET, user).split(".")
    parts[place] = ("A" if parts[place][0] != "A" else "B") + parts[place][1:]
    assert found(RESET, ".".join(parts)) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "\0", "é.é.é", "\ud800", "x" * 10_000, ".eJw.a.b"])
@pytest.mark.usefixtures("app")
def test_junk_is_not_a_valid_token(token: str) -> None:
    assert found(RESET, token) is None


def test_a_token_signed_by_another_key_is_invalid(app: Flask, user: User) -> None:
    token = tokens.make(RESET, user)
    app.config["SECRET_KEY"] = "another secret key"
    assert found(RESET, token) is None


def test_a_token_of_a_deleted_user_is_invalid(user: User) -> None:
    token = tokens.make(RESET, user)
    db.write(lambda session: session.delete(session.get_one(User, user.id)))
    assert found(RESET, token) is None


def test_tokens_of_two_users_differ(app: Flask, user: User) -> None:
    other = add_user(app, "bo@news.example")
    assert tokens.make(RESET, other).split(".")[0] != tokens.make(RESET, user).split(".")[0]


def test_an_unknown_kind_is_an_error(user: User) -> None:
    with pytest.raises(LookupError):
        tokens.make("log-in", user)
