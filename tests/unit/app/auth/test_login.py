"""Log-in and the limits on guesses."""

from typing import Any
from unittest.mock import Mock

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import users
from app.database.models import User
from app.redis.cache_backends import CacheUnavailableError
from tests.unit.app.auth.conftest import OTHER, UNKNOWN
from tests.unit.app.conftest import PASSWORD, change, log_in


@pytest.mark.parametrize("state", ["unknown", "unconfirmed", "deactivated", "wrong password", "no address"])
def test_a_failed_log_in_does_not_show_its_cause(app: Flask, user: User, hashes: list[str], state: str) -> None:
    confirmed_at = None if state == "unconfirmed" else user.confirmed_at
    change(user, confirmed_at=confirmed_at, is_active=state != "deactivated")
    # As in a new process.
    users._make_hasher.cache_clear()
    email = {"unknown": UNKNOWN, "no address": "nonsense"}.get(state, user.email)
    answer = log_in(app.test_client(), email, OTHER if state == "wrong password" else PASSWORD)
    assert (answer.status_code, hashes) == (401, ["verify"])
    assert "E-mail or password is wrong." in answer.text


def test_wrong_passwords_are_limited_and_right_ones_are_not(app: Flask, user: User) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "3 per minute"
    for _ in range(5):
        assert log_in(app.test_client(), user.email).status_code == 302
    statuses = [log_in(app.test_client(), email, "wrong").status_code for email in [user.email, UNKNOWN] * 4]
    assert statuses == [401] * 6 + [429] * 2, "known and unknown addresses must count alike"
    refused = log_in(app.test_client(), user.email)
    assert refused.status_code == 429
    assert "wait" in refused.text
    assert 0 < int(refused.headers["Retry-After"]) <= 60


def test_concurrent_guesses_have_the_same_limit_as_successive_ones(
    app: Flask, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "3 per minute"
    statuses: list[int] = []
    verify = PasswordHasher.verify

    def guess_again(*args: Any) -> bool:
        """Send another guess while this one is checked."""
        if len(statuses) < 10:
            statuses.append(0)
            statuses.append(log_in(app.test_client(), user.email, "wrong").status_code)
        return verify(*args)

    with monkeypatch.context() as slow:
        slow.setattr(PasswordHasher, "verify", guess_again)
        log_in(app.test_client(), user.email, "wrong")
    assert sorted(set(statuses)) == [0, 401, 429]
    assert statuses.count(401) == 2, "the first guess and these two reach the limit of three"


def test_guesses_are_limited_by_client(app: Flask) -> None:
    app.config["LOGIN_CLIENT_RATE_LIMIT"] = "9 per minute; 2 per day"
    statuses = [log_in(app.test_client(), f"{number}@news.example", "wrong").status_code for number in range(3)]
    assert statuses == [401, 401, 429]


def test_a_refused_guess_does_not_count_for_other_limits(app: Flask, user: User) -> None:
    app.config |= {"LOGIN_ACCOUNT_RATE_LIMIT": "1 per minute", "LOGIN_CLIENT_RATE_LIMIT": "2 per minute"}
    assert [log_in(app.test_client(), UNKNOWN, "wrong").status_code for _ in range(4)] == [401, 429, 429, 429]
    assert log_in(app.test_client(), user.email, "wrong").status_code == 401


@pytest.mark.parametrize(
    "spellings", [("ada@news.example", " ADA@News.example"), ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example")]
)
def test_all_spellings_of_an_address_share_a_limit(app: Flask, spellings: tuple[str, str]) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "1 per minute"
    assert [log_in(app.test_client(), email, "wrong").status_code for email in spellings] == [401, 429]


def test_log_in_works_without_the_cache(client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("count", "get_many"):
        down = Mock(side_effect=CacheUnavailableError("down"))
        monkeypatch.setattr(f"app.redis.cache_backends.MemoryBackend.{name}", down)
    assert log_in(client, user.email, "wrong").status_code == 401
    assert log_in(client, user.email).status_code == 302
