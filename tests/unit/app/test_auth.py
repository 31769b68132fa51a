from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from argon2 import PasswordHasher
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import accounts, articles, tasks, tokens
from app.accounts import AccountError
from app.auth import load_user
from app.cache_backends import CacheUnavailableError
from app.extensions import db
from app.models import Mail, User, now
from tests.unit.app.conftest import PASSWORD, cookies, csrf_token, log_in

OTHER = "another good password"
KNOWN, UNKNOWN = "ada@news.example", "nobody@news.example"


@pytest.fixture
def settings() -> dict[str, Any]:
    """With a relay, which no test of this module asks."""
    return {"MAIL_URL": "smtp://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Letters that were handed to a worker."""
    letters: list[int] = []
    monkeypatch.setattr("app.mail.deliver", letters.append)
    return letters


def send(client: FlaskClient, path: str, **fields: str) -> TestResponse:
    """Send the form of a page as a browser does."""
    return client.post(path, data=fields | {"csrf_token": csrf_token(client.get(path))})


def sign_up(client: FlaskClient, email: str = UNKNOWN, **fields: str) -> TestResponse:
    """Sign up."""
    return send(client, "/auth/signup", **({"name": "Nobody Known", "email": email, "password": PASSWORD} | fields))


def find(email: str) -> User | None:
    """The account of an address."""
    return db.read(lambda session: accounts.find_user(session, email), primary=True)


def letters() -> list[tuple[str, str]]:
    """Kind and recipient of every letter, oldest first."""
    return db.read(lambda session: [(mail.kind, mail.recipient) for mail in session.scalars(select(Mail).order_by(Mail.id))])


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


def test_who_signs_up_logs_in_when_the_address_is_confirmed(client: FlaskClient, delivered: list[int]) -> None:
    assert sign_up(client).status_code == 200
    assert (letters(), len(delivered)) == ([("confirm", UNKNOWN)], 1)
    assert log_in(client, UNKNOWN).status_code == 401, "the address is not confirmed yet"

    path = link("confirm", UNKNOWN)
    assert client.get(path).status_code == 200
    assert log_in(client, UNKNOWN).status_code == 401, "a scanner of mail that follows links has confirmed the address"
    assert send(client, path, password="a wrong guess").status_code == 401
    assert send(client, path, password=PASSWORD).headers["Location"] == "/desk/"
    assert client.get("/desk/").status_code == 200
    assert client.get(path).status_code == 410, "the link works twice"


def test_signing_up_tells_nothing_of_an_address(client: FlaskClient, app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hashes(monkeypatch)
    answers, work = [], []
    for email in (user.email, UNKNOWN, UNKNOWN):
        answer = sign_up(app.test_client(), email)
        answers.append((answer.status_code, answer.text.replace(email, "")))
        work.append(list(calls))
        calls.clear()
    assert answers[0] == answers[1] == answers[2]
    assert work == [["hash"]] * 3
    assert letters() == [("exists", user.email), ("confirm", UNKNOWN), ("confirm", UNKNOWN)]
    assert log_in(client, user.email).status_code == 302, "somebody else's sign-up has changed the password"


def test_a_strangers_sign_up_for_my_address_gives_them_nothing(app: Flask) -> None:
    stranger, me = app.test_client(), app.test_client()
    sign_up(me, password=PASSWORD)
    sign_up(stranger, password=OTHER)
    assert send(me, link("confirm", UNKNOWN), password=PASSWORD).status_code == 401
    assert log_in(stranger, UNKNOWN, OTHER).status_code == 401


def test_a_strangers_sign_up_while_i_confirm_gives_them_nothing(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """It comes after my password was compared, and before the account is confirmed."""
    stranger, me = app.test_client(), app.test_client()
    sign_up(me)
    path, compare = link("confirm", UNKNOWN), accounts.is_password_of

    def slowly(user: User, password: str) -> bool:
        matches = compare(user, password)
        sign_up(stranger, password=OTHER)
        return matches

    with monkeypatch.context() as slow:
        slow.setattr(accounts, "is_password_of", slowly)
        assert send(me, path, password=PASSWORD).status_code == 410
    assert log_in(stranger, UNKNOWN, OTHER).status_code == 401


def test_sign_ups_that_nobody_confirms_are_forgotten(app: Flask, user: User) -> None:
    ages = {"old@news.example": 8, "author@news.example": 8, "young@news.example": 6, "again@news.example": 8}

    def add(session: Session) -> None:
        for email, days in ages.items():
            session.add(User(email=email, name="x", password_hash="x", created_at=now() - timedelta(days=days)))
        session.get_one(User, user.id).created_at = now() - timedelta(days=8)
        session.flush()
        author = accounts.find_user(session, "author@news.example")
        assert author
        articles.create(session, author_id=author.id, title="A title", content="Some content.")

    db.write(add)
    sign_up(app.test_client(), "again@news.example")
    tasks.forget_unconfirmed_accounts()
    assert [email for email in [*ages, user.email] if find(email)] == [
        "author@news.example",
        "young@news.example",
        "again@news.example",
        user.email,
    ]


def test_a_sign_up_after_the_confirmation_changes_nothing(client: FlaskClient, app: Flask) -> None:
    sign_up(client)
    send(client, link("confirm", UNKNOWN), password=PASSWORD)
    sign_up(app.test_client(), name="Stranger", password=OTHER)
    found = find(UNKNOWN)
    assert found is not None
    assert found.name == "Nobody Known"
    assert log_in(app.test_client(), UNKNOWN).status_code == 302


def test_an_address_has_one_spelling() -> None:
    assert accounts.normalise_email(" Ada.M+news@B\u00fccher.Example ") == "ada.m+news@xn--bcher-kva.example"
    for email in ("a@b", "a@b..example", "a@-b.example", ".a@b.example", "a..b@c.example", "a b@c.example", f"a@{'x' * 64}.example"):
        with pytest.raises(AccountError):
            accounts.normalise_email(email)


@pytest.mark.parametrize("state", ["unknown", "unconfirmed", "deactivated", "wrong password", "no address"])
def test_who_cannot_log_in_does_not_learn_why(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    def change(session: Session) -> None:
        found = session.get_one(User, user.id)
        found.confirmed_at = None if state == "unconfirmed" else found.confirmed_at
        found.is_active = state != "deactivated"

    db.write(change)
    # As in a process that has just started.
    accounts._make_hasher.cache_clear()
    calls = hashes(monkeypatch)
    email = {"unknown": UNKNOWN, "no address": "nonsense"}.get(state, user.email)
    answer = log_in(app.test_client(), email, OTHER if state == "wrong password" else PASSWORD)
    assert (answer.status_code, calls) == (401, ["verify"])
    assert "E-mail or password is wrong." in answer.text


@pytest.mark.parametrize("kind", ["confirm", "reset"])
def test_a_browser_can_send_the_form_of_a_link_over_https_and_tells_nobody_the_link(client: FlaskClient, kind: str) -> None:
    site = "https://news.example"
    sign_up(client)
    path = link(kind, UNKNOWN)
    page = client.get(path, base_url=site)
    # What browsers send beside a form, under each policy.
    referrers = {"no-referrer": {}, "strict-origin": {"Referer": f"{site}/"}, "same-origin": {"Referer": site + path}}
    headers = referrers[page.headers["Referrer-Policy"]]
    assert path not in headers.get("Referer", "")
    fields = {"password": PASSWORD, "csrf_token": csrf_token(page)}
    assert client.post(path, base_url=site, headers=headers, data=fields).status_code == 302


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
def test_what_cannot_be_an_account_is_refused_at_its_field(client: FlaskClient, field: str, value: str) -> None:
    answer = sign_up(client, **{field: value})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in answer.text
    assert letters() == []


def test_nobody_makes_themselves_an_administrator(client: FlaskClient) -> None:
    sign_up(client, is_admin="1", confirmed_at="2026-01-01", session_epoch="9")
    user = find(UNKNOWN)
    assert user is not None
    assert (user.is_admin, user.confirmed_at, user.session_epoch) == (False, None, 0)


def test_a_forgotten_password_is_replaced_once(app: Flask, client: FlaskClient, reader: FlaskClient, user: User) -> None:
    assert send(client, "/auth/reset", email=user.email).status_code == 200
    assert letters() == [("reset", user.email)]
    path = link("reset", user.email)
    page = client.get(path)
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("strict-origin", "no-store")
    assert send(client, path, password="short").status_code == 422
    assert send(client, path, password=OTHER).status_code == 302
    assert letters()[-1] == ("password_changed", user.email)

    assert client.get(path).status_code == 410, "the link works twice"
    assert reader.get("/account").status_code == 302, "an old session lives on"
    assert log_in(app.test_client(), user.email).status_code == 401
    assert log_in(client, user.email, OTHER).status_code == 302


def test_asking_for_a_new_password_tells_nothing_of_an_address(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = hashes(monkeypatch)
    queries: list[int] = []
    answers = []
    for email in (user.email, UNKNOWN):
        seen: list[float] = []
        db.on_query.append(seen.append)
        answer = send(app.test_client(), "/auth/reset", email=email)
        db.on_query.remove(seen.append)
        queries.append(len(seen))
        answers.append((answer.status_code, answer.text.replace(email, "")))
    assert answers[0] == answers[1]
    assert queries[0] == queries[1]
    assert calls == []


@pytest.mark.parametrize("kind", ["confirm", "reset"])
def test_a_forged_link_is_refused(client: FlaskClient, user: User, kind: str) -> None:
    token = tokens.make("reset", user)
    for forged in ("x", "..", token[:-2] + "zz", tokens.make("confirm", user) if kind == "reset" else token):
        assert client.get(f"/auth/{kind}/{forged}").status_code == 410
        assert client.post(f"/auth/{kind}/{forged}", data={"password": OTHER}).status_code in {400, 410}
    assert log_in(client, user.email).status_code == 302


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


def test_many_guesses_at_one_moment_get_no_further_than_one_by_one(app: Flask, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
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


@pytest.mark.parametrize("spellings", [("ada@news.example", " ADA@News.example"), ("ada@b\u00fccher.example", "ada@xn--bcher-kva.example")])
def test_another_spelling_gives_no_further_guesses(app: Flask, spellings: tuple[str, str]) -> None:
    app.config["LOGIN_ACCOUNT_RATE_LIMIT"] = "1 per minute"
    assert [log_in(app.test_client(), email, "wrong").status_code for email in spellings] == [401, 429]


def test_without_the_cache_people_get_in(client: FlaskClient, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise CacheUnavailableError("away")

    for name in ("count", "get_many"):
        monkeypatch.setattr(f"app.cache_backends.MemoryBackend.{name}", away)
    assert log_in(client, user.email, "wrong").status_code == 401
    assert log_in(client, user.email).status_code == 302


def test_letters_are_limited(app: Flask) -> None:
    app.config["LETTERS_ADDRESS_RATE_LIMIT"] = "2 per hour"
    assert [send(app.test_client(), "/auth/reset", email=UNKNOWN).status_code for _ in range(3)] == [200, 200, 429]
    assert sign_up(app.test_client(), "other@news.example").status_code == 200


def test_changing_the_password_ends_other_sessions_and_keeps_this_one(app: Flask, reader: FlaskClient, user: User) -> None:
    elsewhere = app.test_client()
    log_in(elsewhere, user.email)
    assert send(reader, "/auth/password", present="wrong", password=OTHER).status_code == 401
    assert send(reader, "/auth/password", present=PASSWORD, password="short").status_code == 422
    assert send(reader, "/auth/password", present=PASSWORD, password=OTHER).status_code == 302
    assert reader.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert letters() == [("password_changed", user.email)]


def test_logging_out_everywhere_keeps_this_session(app: Flask, reader: FlaskClient, user: User) -> None:
    elsewhere = app.test_client()
    log_in(elsewhere, user.email)
    token = csrf_token(reader.get("/account"))
    assert reader.post("/auth/logout-everywhere", data={"csrf_token": token}).status_code == 302
    assert reader.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302


def test_a_name_can_be_changed(reader: FlaskClient, user: User) -> None:
    assert send(reader, "/auth/name", name="a\u202eb").status_code == 422
    assert send(reader, "/auth/name", name=" Ada M. ").status_code == 302
    changed = find(user.email)
    assert changed is not None
    assert changed.name == "Ada M."


@pytest.mark.parametrize("cookie", ["", "x", "1.0", "\u00e9", "../../etc"])
def test_a_forged_session_is_nobodys(app: Flask, cookie: str) -> None:
    client = app.test_client()
    client.set_cookie("session", cookie)
    assert client.get("/account").status_code == 302


def test_a_session_is_good_where_the_replica_has_not_heard_of_the_end_of_the_others(app: Flask, user: User) -> None:
    with app.test_request_context():
        assert load_user(f"{user.id}.{user.session_epoch + 1}") is not None
        assert load_user(f"{user.id}.{user.session_epoch}") is not None
        db.write(lambda session: accounts.set_password(session.get_one(User, user.id), user.password_hash))
        assert load_user(f"{user.id}.{user.session_epoch}") is None


@pytest.mark.parametrize("path", ["/auth/login", "/auth/signup", "/auth/reset"])
def test_a_form_without_its_token_does_nothing(client: FlaskClient, path: str) -> None:
    assert client.post(path, data={"email": UNKNOWN, "name": "x", "password": PASSWORD}).status_code == 400
    assert letters() == []


class TestWithoutMail:
    """A site that sends no letters."""

    @pytest.fixture
    def settings(self) -> dict[str, Any]:
        """Without a relay."""
        return {}

    @pytest.mark.parametrize("path", ["/auth/signup", "/auth/reset"])
    def test_nobody_is_promised_a_letter(self, client: FlaskClient, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("app.mail.enabled", lambda: False)
        answer = client.get(path)
        assert answer.status_code == 503
        assert "administrators" in answer.text


def test_the_forms_set_a_session_and_nothing_else_does(client: FlaskClient) -> None:
    assert cookies(client.get("/")) == []
    assert cookies(client.get("/auth/signup")) == ["session"]
