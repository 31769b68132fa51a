"""Fixtures: an application with a migrated SQLite database for each test, users, keys and clients."""

import contextvars
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any, TypeVar

import flask_migrate
import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker
from click.testing import Result
from fakeredis import FakeRedis, FakeServer
from flask import Flask
from flask.testing import FlaskClient
from kombu.transport import memory
from sqlalchemy import update
from werkzeug.test import TestResponse

from app import create_app
from app.accounts import users
from app.accounts.users import ARTICLES_WRITE, SCOPES
from app.config import Testing
from app.database.engine import Database
from app.database.models import Article, User, now
from app.extensions import db
from app.redis.store import MemoryStore, RedisStore
from tools.fleet.context import ROOT

T = TypeVar("T")
Publish = Callable[..., Article]
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


@pytest.fixture(params=["memory", "redis"])
def each_store(app: Flask, redis: FakeRedis, request: pytest.FixtureRequest) -> None:
    """Run the test with each kind of store."""
    app.extensions["store"] = MemoryStore() if request.param == "memory" else RedisStore(redis)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """An anonymous reader."""
    return app.test_client()


@pytest.fixture
def user(app: Flask) -> User:
    """An author."""
    return add_user(app, "ada@news.example", name="Ada Marsh")


@pytest.fixture
def reader(app: Flask, user: User) -> FlaskClient:
    """A client of a logged-in user."""
    return logged_in(app, user.email)


@pytest.fixture
def sent_emails(app: Flask) -> list[EmailMessage]:
    """The e-mails that the application has sent. Without this fixture, it has no relay."""
    sent: list[EmailMessage] = []
    app.extensions["mail"] = sent.append
    return sent


@pytest.fixture
def run(app: Flask) -> Callable[..., Result]:
    """Return a function that runs a command of `flask --app app`, with the given environment variables."""
    return lambda *arguments, **environment: app.test_cli_runner(env=environment).invoke(args=arguments)


@pytest.fixture
def worker(app: Flask, monkeypatch: pytest.MonkeyPatch) -> Iterator[Celery]:
    """The Celery application, whose tasks go through a broker in memory to a worker."""
    celery: Celery = app.extensions["celery"]
    celery.conf.task_always_eager = False
    # Otherwise each worker needs five seconds: it looks for messages once a second, and for its end every two.
    drain = memory.Transport.drain_events
    monkeypatch.setattr(memory.Transport, "polling_interval", 0.01)
    monkeypatch.setattr(
        memory.Transport, "drain_events", lambda self, connection, **_: drain(self, connection, timeout=0.02)
    )
    celery.conf.worker_timer_precision = 0.01
    celery.Task.Request = "app.jobs.worker_metrics:CountedRequest"
    celery.Task.Strategy = "app.jobs.worker_messages:strategy"
    with start_worker(celery, perform_ping_check=False, pool="solo", loglevel="CRITICAL"):
        yield celery


@dataclass(frozen=True)
class Author:
    """A client with an API key."""

    client: FlaskClient
    headers: dict[str, str]

    def post(self, headers: dict[str, str] | None = None, **article: Any) -> TestResponse:
        """Publish an article with the API."""
        article = {"title": "A title", "content": "Some content."} | article
        return self.client.post("/api/v1/articles", json=article, headers=self.headers | (headers or {}))


@pytest.fixture
def author(app: Flask, user: User) -> Author:
    """A client without cookies, and a key with the scope articles:write."""
    return Author(app.test_client(use_cookies=False), key_of(user, ARTICLES_WRITE))


@pytest.fixture
def publish(user: User) -> Publish:
    """Return a function that adds an article without invalidating the cache."""

    def add(title: str = "A title", **values: Any) -> Article:
        defaults = {"author_id": user.id, "content": "Some content.", "published_at": now()}
        article = Article(title=title, **(defaults | values))
        db.write(lambda session: session.add(article))
        return article

    return add


def add_user(app: Flask, email: str, password: str = PASSWORD, **values: Any) -> User:
    """Add an account with a confirmed address."""
    database: Database = app.extensions["database"]
    return database.write(lambda session: users.create_user(session, email=email, password=password, **values))


def key_of(user: User, *scopes: str) -> dict[str, str]:
    """The headers of requests with a new key of a user, by default with all scopes."""
    _, key = db.write(lambda session: users.create_key(session, user=user, name="tests", scopes=list(scopes or SCOPES)))
    return {"Authorization": f"Bearer {key}"}


def stored(model: type[T], key: Any) -> T:
    """A row of the database."""
    return db.read(lambda session: session.get_one(model, key))


def change(row: Article | User, **values: Any) -> None:
    """Change columns of a row of the database."""
    table: Any = type(row)
    db.write(lambda session: session.execute(update(table).where(table.id == row.id).values(**values)))


def send(
    client: FlaskClient, path: str, page: str | None = None, content_type: str | None = None, **fields: Any
) -> TestResponse:
    """Submit the form of a page as a browser does."""
    token = csrf_token(client.get(page or path))
    return client.post(path, data={"csrf_token": token, **fields}, content_type=content_type)


def log_in(client: FlaskClient, email: str, password: str = PASSWORD, target: str = "/auth/login") -> TestResponse:
    """Submit the log-in form."""
    return send(client, target, email=email, password=password)


def logged_in(app: Flask, email: str) -> FlaskClient:
    """A new client of a logged-in user."""
    client = app.test_client()
    log_in(client, email)
    return client


def csrf_token(page: TestResponse) -> str:
    """The CSRF token of the form on a page."""
    return search(r'name="csrf_token"[^>]*value="([^"]+)"', page.text)


def following(page: str) -> str:
    """The link to the next page of a list."""
    return search(r'href="([^"]+)" rel="next"', page).replace("&amp;", "&")


def check_page_tokens(client: FlaskClient, lists: Iterable[str], others: Iterable[str] = ()) -> None:
    """Check that the token of a list's second page is valid for this list only."""
    tokens = {path: search(r"after=([^&]+)", following(client.get(path).text)) for path in lists}
    for path in (*lists, *others):
        for source, token in (*tokens.items(), ("forged", "forged")):
            response = client.get(f"{path}{'&' if '?' in path else '?'}after={token}")
            assert response.status_code == (200 if path == source else 404), (path, source)


def search(pattern: str, text: str) -> str:
    """The first group of a pattern, which must match a part of the text."""
    found = re.search(pattern, text, re.MULTILINE)
    assert found, text
    return found[1]


def body(response: TestResponse) -> Any:
    """The JSON of a response."""
    return response.json


def cookies(response: TestResponse) -> list[str]:
    """The names of the cookies that a response sets."""
    return [header.partition("=")[0] for header in response.headers.getlist("Set-Cookie")]


def cookie(client: FlaskClient, name: str) -> str:
    """The value of a client's cookie."""
    found = client.get_cookie(name)
    assert found is not None
    return found.value


@contextmanager
def queries() -> Iterator[list[float]]:
    """Record the duration of each query inside this context."""
    seen: list[float] = []
    db.on_query.append(seen.append)
    yield seen
    db.on_query.remove(seen.append)


def run_python(code: str) -> None:
    """Run code in a process of its own, without the modules that other tests have imported."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | {"APP_ENV": "testing"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
