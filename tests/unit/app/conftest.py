"""Fixtures: an application with a migrated SQLite database for each test, users, keys and clients."""

from __future__ import annotations

import contextvars
import re
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from fakeredis import FakeRedis, FakeServer
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import users
from app.accounts.users import ARTICLES_WRITE
from app.config import Testing
from app.database.engine import Database
from app.database.models import Article, User
from app.extensions import db
from app.news import articles

PASSWORD = "correct horse battery"


class Client(FlaskClient):
    """Sends each request in a new context, as a server does, and not in the application context of the test."""

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        return contextvars.Context().run(super().open, *args, **kwargs)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database file after `flask db upgrade`, without rows."""
    path = tmp_path_factory.mktemp("database") / "migrated.sqlite3"
    app = create_app(Testing(DATABASE_URL=f"sqlite:///{path}"))
    with app.app_context():
        flask_migrate.upgrade()
        db.primary.dispose()
    return path


@pytest.fixture
def settings() -> dict[str, Any]:
    """Settings of the application. Test modules override this fixture."""
    return {}


@pytest.fixture
def app(migrated: Path, tmp_path: Path, settings: dict[str, Any]) -> Iterator[Flask]:
    """A new application for each test, with its application context."""
    path = tmp_path / "news.sqlite3"
    shutil.copy(migrated, path)
    application = create_app(Testing(**{"DATABASE_URL": f"sqlite:///{path}", **settings}))
    application.test_client_class = Client
    with application.app_context():
        yield application
        db.primary.dispose()


@pytest.fixture
def redis() -> FakeRedis:
    """An empty Redis in memory."""
    return FakeRedis(server=FakeServer())


@pytest.fixture
def dead_redis() -> FakeRedis:
    """A Redis that does not answer."""
    server = FakeServer()
    server.connected = False
    return FakeRedis(server=server)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """An anonymous reader."""
    return app.test_client()


@pytest.fixture
def user(app: Flask) -> User:
    """An author."""
    database: Database = app.extensions["database"]
    return database.write(
        lambda session: users.create_user(session, email="ada@news.example", name="Ada Marsh", password=PASSWORD)
    )


@pytest.fixture
def reader(app: Flask, user: User) -> FlaskClient:
    """A client of a logged-in user."""
    client = app.test_client()
    log_in(client, user.email)
    return client


@pytest.fixture
def sent_emails(app: Flask) -> list[EmailMessage]:
    """The e-mails that the application has sent. Without this fixture, it has no relay."""
    sent: list[EmailMessage] = []
    app.extensions["mail"] = sent.append
    return sent


@dataclass(frozen=True)
class Author:
    """A client with an API key."""

    client: FlaskClient
    headers: dict[str, str]

    def post(self, **article: Any) -> TestResponse:
        """Publish an article with the API."""
        return self.client.post(
            "/api/v1/articles", json={"title": "A title", "content": "Some content."} | article, headers=self.headers
        )


@pytest.fixture
def author(app: Flask, user: User) -> Author:
    """A client without cookies, and a key with the scope articles:write."""
    _, key = db.write(lambda session: users.create_key(session, user=user, name="tests", scopes=[ARTICLES_WRITE]))
    return Author(app.test_client(use_cookies=False), {"Authorization": f"Bearer {key}"})


@pytest.fixture
def publish(user: User) -> Callable[..., Article]:
    """Return a function that adds an article without invalidating the cache."""

    def add(title: str = "A title", **values: Any) -> Article:
        def create(session: Session) -> Article:
            article = articles.create(session, author_id=user.id, title=title, content="Some content.")
            for name, value in values.items():
                setattr(article, name, value)
            return article

        return db.write(create)

    return add


def log_in(client: FlaskClient, email: str, password: str = PASSWORD, target: str = "/auth/login") -> TestResponse:
    """Submit the log-in form as a browser does."""
    return client.post(
        target, data={"email": email, "password": password, "csrf_token": csrf_token(client.get(target))}
    )


def csrf_token(page: TestResponse) -> str:
    """The CSRF token of the form on a page."""
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def body(response: TestResponse) -> Any:
    """The JSON of a response."""
    return response.json


def cookies(response: TestResponse) -> list[str]:
    """The names of the cookies that a response sets."""
    return [header.partition("=")[0] for header in response.headers.getlist("Set-Cookie")]


@contextmanager
def queries() -> Iterator[list[float]]:
    """Record the duration of each query inside this context."""
    seen: list[float] = []
    db.on_query.append(seen.append)
    yield seen
    db.on_query.remove(seen.append)


def free_port() -> int:
    """An unused port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
