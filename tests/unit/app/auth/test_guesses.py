"""Logging in, and guessing at it: nothing is learned, and not for long."""

from __future__ import annotations

from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app.accounts import users
from app.database.models import User
from app.extensions import db
from app.redis.cache_backends import CacheUnavailableError
from tests.unit.app.auth.forms import OTHER, UNKNOWN, hashes
from tests.unit.app.conftest import PASSWORD, log_in


@pytest.mark.parametrize("state", ["unknown", "unconfirmed", "deactivated", "wrong password", "no address"])
def test_who_cannot_log_in_does_not_learn_why(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    def change(session: Session) -> None:
        found = session.get_one(User, user.id)
        found.confirmed_at = None if state == "unconfirmed" else found.confirmed_at
        found.is_active = state != "deactivated"

    db.write(change)
    # As in a process that has just started.
    users._make_hasher.cache_clear()
    calls = hashes(monkeypatch)
    email = {"unknown": UNKNOWN, "no address": "nonsense"}.get(state, user.email)
    answer = log_in(app.test_client(), email, OTHER if state == "wrong password" else PASSWORD)
    assert (answer.status_code, calls) == (401, ["verify"])
    assert "E-mail or password is wrong." in answer.text


def test_wrong_passwords_are_limited_and_right_ones_never(app: Flask, user: User) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "3 per minute"
    for _ in range(5):
        client = app.test_client()
        assert log_in(client, user.email).status_code == 302
    statuses = [log_in(app.test_client(), email, "wrong").status_code for email in [user.email, UNKNOWN] * 4]
    assert statuses == [401] * 6 + [429] * 2, "known and unknown addresses are not counted alike"
    refused = log_in(app.test_client(), user.email)
    assert refused.status_code == 429
    assert "wait" in refused.text
    assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_many_guesses_at_one_moment_get_no_further_than_one_by_one(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "3 per minute"
    statuses: list[int] = []
    verify = PasswordHasher.verify

    def meanwhile(*args: Any) -> bool:
        """Guess again while this guess is compared."""
        if len(statuses) < 10:
            statuses.append(0)
            statuses.append(log_in(app.test_client(), user.email, "wrong").status_code)
        return verify(*args)

    with monkeypatch.context() as slow:
        slow.setattr(PasswordHasher, "verify", meanwhile)
        log_in(app.test_client(), user.email, "wrong")
    assert sorted(set(statuses)) == [0, 401, 429]
    assert statuses.count(401) == 2, "with the first one three"


@pytest.mark.parametrize("setting", ["LOGIN_CLIENT_RATE_LIMIT", "LOGIN_ADDRESS_RATE_LIMIT"])
def test_guesses_from_everywhere_and_for_everybody_are_limited(app: Flask, setting: str) -> None:
    app.config[setting] = "9 per minute; 2 per day"
    statuses = []
    for number in range(3):
        client = app.test_client()
        if setting == "LOGIN_ADDRESS_RATE_LIMIT":
            client.environ_base["REMOTE_ADDR"] = f"198.51.100.{number}"
        email = UNKNOWN if setting == "LOGIN_ADDRESS_RATE_LIMIT" else f"{number}@news.example"
        statuses.append(log_in(client, email, "wrong").status_code)
    assert statuses == [401, 401, 429]


def test_who_is_refused_loses_nothing_elsewhere(app: Flask, user: User) -> None:
    app.config |= {"LOGIN_ACCOUNT_RATE_LIMIT": "1 per minute", "LOGIN_CLIENT_RATE_LIMIT": "2 per minute"}
    assert [log_in(app.test_client(), UNKNOWN, "wrong").status_code for _ in range(4)] == [401, 429, 429, 429]
    assert log_in(app.test_client(), user.email, "wrong").status_code == 401


@pytest.mark.parametrize(
    "spellings", [("ada@news.example", " ADA@News.example"), ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example")]
)
def test_another_spelling_gives_no_further_guesses(app: Flask, spellings: tuple[str, str]) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "1 per minute"
    assert [log_in(app.test_client(), email, "wrong").status_code for email in spellings] == [401, 429]


def test_without_the_cache_people_get_in(client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise CacheUnavailableError("away")

    for name in ("count", "get_many"):
        monkeypatch.setattr(f"app.redis.cache_backends.MemoryBackend.{name}", away)
    assert log_in(client, user.email, "wrong").status_code == 401
    assert log_in(client, user.email).status_code == 302
