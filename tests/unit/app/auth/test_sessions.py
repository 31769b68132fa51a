"""Start and end of sessions, and the forms of an account."""

from typing import cast

import pytest
from fakeredis import FakeRedis
from flask import Flask, session
from flask.testing import FlaskClient

from app.accounts import users
from app.auth import load_user
from app.database.models import User
from app.extensions import db, store
from app.redis.store import MemoryStore, RedisStore, Store
from app.web.sessions import StoreSessionInterface
from tests.unit.app.auth.conftest import OTHER, UNKNOWN, find, queued_emails
from tests.unit.app.conftest import PASSWORD, cookies, logged_in, send


def test_a_new_password_ends_other_sessions_and_keeps_this_one(app: Flask, reader: FlaskClient, user: User) -> None:
    elsewhere = logged_in(app, user.email)
    assert send(reader, "/auth/password", present="wrong", password=OTHER).status_code == 401
    assert send(reader, "/auth/password", present=PASSWORD, password="short").status_code == 422
    assert send(reader, "/auth/password", present=PASSWORD, password=OTHER).status_code == 302
    assert reader.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302
    assert queued_emails() == [("password_changed", user.email)]


def test_logging_out_everywhere_else_keeps_this_session(app: Flask, reader: FlaskClient, user: User) -> None:
    elsewhere = logged_in(app, user.email)
    assert send(reader, "/auth/logout-everywhere", page="/account").status_code == 302
    assert reader.get("/account").status_code == 200
    assert elsewhere.get("/account").status_code == 302


@pytest.mark.parametrize("end", ["/auth/logout", "/auth/logout-everywhere", "/auth/password"])
def test_a_request_that_ran_meanwhile_does_not_bring_an_ended_session_back(
    app: Flask, redis: FakeRedis, user: User, end: str
) -> None:
    cast("StoreSessionInterface", app.session_interface)._store = RedisStore(redis)
    other = app.test_client()

    @app.get("/slow")
    def change_session() -> str:
        session["seen"] = "last"
        fields = {"present": PASSWORD, "password": OTHER} if end == "/auth/password" else {}
        page = "/account" if end.startswith("/auth/logout") else end
        assert send(other, end, page=page, **fields).status_code == 302
        return ""

    slow = logged_in(app, user.email)
    cookie = slow.get_cookie("session")
    assert cookie
    other.set_cookie("session", cookie.value)
    assert "Set-Cookie" not in slow.get("/slow").headers
    assert redis.exists(f"session:{cookie.value}") == 0
    assert slow.get("/account").status_code == 302


@pytest.mark.parametrize("kept", [MemoryStore(), RedisStore(FakeRedis())], ids=["memory", "redis"])
def test_only_an_existing_session_can_be_replaced(kept: Store) -> None:
    kept.put_session("a", b"1", 60)
    assert kept.replace_session("a", b"2", 60)
    assert kept.get_session("a") == b"2"
    kept.drop_session("a")
    assert not kept.replace_session("a", b"3", 60)
    assert kept.get_session("a") is None


def test_a_name_can_be_changed(reader: FlaskClient, user: User) -> None:
    assert send(reader, "/auth/name", name="a\u202eb").status_code == 422
    assert send(reader, "/auth/name", name=" Ada M. ").status_code == 302
    assert find(user.email).name == "Ada M."


@pytest.mark.parametrize("cookie", ["", "x", "1.0", "\u00e9", "../../etc", "pickled"])
def test_a_forged_session_is_anonymous(client: FlaskClient, cookie: str) -> None:
    # Unpickling this would end the process.
    store.put_session("session:pickled", b"cbuiltins\nexit\n(tR.", 60)
    client.set_cookie("session", cookie)
    assert client.get("/account").status_code == 302


def test_a_new_session_is_valid_on_a_replica_that_lags(app: Flask, user: User) -> None:
    with app.test_request_context():
        assert load_user(f"{user.id}.{user.session_epoch + 1}")
        assert load_user(f"{user.id}.{user.session_epoch}")
        db.write(lambda session: users.set_password(session.get_one(User, user.id), user.password_hash))
        assert load_user(f"{user.id}.{user.session_epoch}") is None


@pytest.mark.parametrize("path", ["/auth/login", "/auth/signup", "/auth/reset"])
def test_a_form_without_csrf_token_does_nothing(client: FlaskClient, path: str) -> None:
    assert client.post(path, data={"email": UNKNOWN, "name": "x", "password": PASSWORD}).status_code == 400
    assert queued_emails() == []


def test_a_form_starts_a_session(client: FlaskClient) -> None:
    assert cookies(client.get("/auth/signup")) == ["session"]
