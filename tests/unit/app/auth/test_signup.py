"""Sign-up, and confirmation by link and password."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import tasks, users
from app.accounts.users import AccountError
from app.database.models import User, now
from app.extensions import db
from tests.unit.app.auth.conftest import OTHER, UNKNOWN, find, link, queued_emails, sign_up
from tests.unit.app.conftest import PASSWORD, Publish, change, log_in, send


def test_log_in_works_after_the_address_is_confirmed(client: FlaskClient, delivered: list[int]) -> None:
    assert sign_up(client).status_code == 200
    assert (queued_emails(), len(delivered)) == ([("confirm", UNKNOWN)], 1)
    assert log_in(client, UNKNOWN).status_code == 401, "the address is not confirmed yet"

    path = link("confirm", UNKNOWN)
    assert client.get(path).status_code == 200
    assert log_in(client, UNKNOWN).status_code == 401, "a mail scanner that follows links must not confirm the address"
    assert send(client, path, password="a wrong guess").status_code == 401
    assert send(client, path, password=PASSWORD).headers["Location"] == "/desk/"
    assert client.get("/desk/").status_code == 200
    assert client.get(path).status_code == 410, "the link must not work twice"


def test_a_sign_up_does_not_show_whether_an_address_has_an_account(
    client: FlaskClient, app: Flask, user: User, hashes: list[str]
) -> None:
    answers = []
    for email in (user.email, UNKNOWN, UNKNOWN):
        hashes.clear()
        answer = sign_up(app.test_client(), email)
        answers.append((answer.status_code, answer.text.replace(email, ""), tuple(hashes)))
    assert answers[0] == answers[1] == answers[2]
    assert hashes == ["hash"]
    assert queued_emails() == [("exists", user.email), ("confirm", UNKNOWN), ("confirm", UNKNOWN)]
    assert log_in(client, user.email).status_code == 302, "the sign-up of a stranger must not change the password"


def test_a_stranger_who_signs_up_with_my_address_gets_no_access(app: Flask) -> None:
    stranger, me = app.test_client(), app.test_client()
    sign_up(me, password=PASSWORD)
    sign_up(stranger, password=OTHER)
    assert send(me, link("confirm", UNKNOWN), password=PASSWORD).status_code == 401
    assert log_in(stranger, UNKNOWN, OTHER).status_code == 401


def test_a_sign_up_during_a_confirmation_does_not_confirm_the_new_password(
    app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sign-up happens between the comparison of the password and the confirmation."""
    stranger, me = app.test_client(), app.test_client()
    sign_up(me)
    path, compare = link("confirm", UNKNOWN), users.is_password_of

    def slowly(user: User, password: str) -> bool:
        matches = compare(user, password)
        sign_up(stranger, password=OTHER)
        return matches

    with monkeypatch.context() as slow:
        slow.setattr(users, "is_password_of", slowly)
        assert send(me, path, password=PASSWORD).status_code == 410
    assert log_in(stranger, UNKNOWN, OTHER).status_code == 401


def test_old_unconfirmed_accounts_are_deleted(app: Flask, user: User, publish: Publish) -> None:
    ages = {"old@news.example": 8, "author@news.example": 8, "young@news.example": 6, "again@news.example": 8}

    created = {email: now() - timedelta(days=days) for email, days in ages.items()}
    accounts = [User(email=email, name="x", password_hash="x", created_at=at) for email, at in created.items()]
    db.write(lambda session: session.add_all(accounts))
    change(user, created_at=now() - timedelta(days=8))
    publish(author_id=accounts[1].id)
    sign_up(app.test_client(), "again@news.example")
    tasks.forget_unconfirmed_accounts()
    assert [email for email in [*ages, user.email] if find(email)] == [
        "author@news.example",
        "young@news.example",
        "again@news.example",
        user.email,
    ]


def test_a_second_sign_up_does_not_change_a_confirmed_account(client: FlaskClient, app: Flask) -> None:
    sign_up(client)
    send(client, link("confirm", UNKNOWN), password=PASSWORD)
    sign_up(app.test_client(), name="Stranger", password=OTHER)
    assert find(UNKNOWN).name == "Nobody Known"
    assert log_in(app.test_client(), UNKNOWN).status_code == 302


def test_addresses_are_normalised() -> None:
    assert users.normalise_email(" Ada.M+news@B\u00fccher.Example ") == "ada.m+news@xn--bcher-kva.example"
    assert users.normalise_email("ada@corp.local") == "ada@corp.local", "company networks use such names"
    for email in (
        "a@b",
        "a@b..example",
        "a@-b.example",
        ".a@b.example",
        "a..b@c.example",
        "a b@c.example",
        f"a@{'x' * 64}.example",
    ):
        with pytest.raises(AccountError):
            users.normalise_email(email)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 10_000),
        ("name", "a\0b"),
        ("name", "a\u202eb"),
        ("email", "nonsense"),
        ("email", "a" * 10_000 + "@news.example"),
        ("email", "a\0@news.example"),
        ("email", "a@news.example,b@news.example"),
        ("email", "a@news.example\r\nBcc: b@news.example"),
        ("password", "short"),
        ("password", "x" * 10_000),
    ],
)
def test_an_invalid_sign_up_shows_the_error_at_its_field(client: FlaskClient, field: str, value: str) -> None:
    answer = sign_up(client, **{field: value})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert queued_emails() == []


def test_a_sign_up_cannot_set_other_columns(client: FlaskClient) -> None:
    sign_up(client, is_admin="1", confirmed_at="2026-01-01", session_epoch="9")
    user = find(UNKNOWN)
    assert (user.is_admin, user.confirmed_at, user.session_epoch) == (False, None, 0)
