import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import Mock

import pytest
import structlog
from celery import Celery, signals
from click.testing import Result
from flask import Flask, request
from flask.testing import FlaskClient
from gunicorn import glogging
from gunicorn.config import Config
from kombu.exceptions import OperationalError as BrokerError
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app import create_app
from app.config import Production
from app.database.models import Article, User, now
from app.extensions import db
from app.jobs import retry
from app.jobs.celery_app import send
from app.logs import structured
from app.news import articles, tasks
from app.redis.store import StoreUnavailableError
from tests.unit.app.conftest import Author, body, log_in, stored


def metric(client: FlaskClient, name: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


@pytest.mark.parametrize(
    ("broken", "probe", "status"),
    [
        (None, None, 200),
        ("cache", "app.redis.cache_backends.MemoryBackend.ping", 200),
        ("broker", "app.redis.store.MemoryStore.ping", 503),
        ("database", "app.database.engine.Database.read", 503),
    ],
)
def test_the_application_is_ready_if_database_and_broker_answer(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch, broken: str | None, probe: str | None, status: int
) -> None:
    if probe:
        monkeypatch.setattr(probe, Mock(side_effect=StoreUnavailableError("s3cret")))
    response = client.get("/readyz")
    assert (response.status_code, body(response)["status"]) == (status, "ready" if status == 200 else "not ready")
    answers = {name: check["ok"] for name, check in body(response)["checks"].items()}
    assert answers == {name: name != broken for name in ("database", "broker", "cache")}
    assert "s3cret" not in response.text, "the message of an error may name hosts and users"
    assert client.get("/livez").status_code == 200


def test_metrics_have_the_route_and_not_the_path(client: FlaskClient) -> None:
    rule = 'app_requests_total{method="GET",rule="/api/v1/articles/<id:article_id>",status="404"}'
    before = metric(client, rule)
    for number in range(5):
        client.get(f"/api/v1/articles/{900 + number}")
        client.get(f"/no/such/path/{number}")
    assert metric(client, rule) == before + 5
    assert "/no/such/path" not in client.get("/metrics").text


def test_metrics_count_cache_outcomes_and_queries(client: FlaskClient) -> None:
    names = (
        'app_cache_requests_total{cache="lists",outcome="hit"}',
        'app_request_queries_sum{rule="/api/v1/articles"}',
    )
    before = [metric(client, name) for name in names]
    for _ in range(3):
        client.get("/api/v1/articles")
    added = [metric(client, name) - count for name, count in zip(names, before, strict=True)]
    assert added == [2, 1]


def test_responses_have_request_id_host_and_release(client: FlaskClient) -> None:
    headers = client.get("/livez", headers={"X-Request-Id": "abc-123"}).headers
    assert headers["X-Request-Id"] == "abc-123"
    assert (headers["X-Served-By"], headers["X-Release"]) == (structured.HOSTNAME, "development")


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'inject"}'])
def test_an_invalid_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    assert client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"] not in {given, ""}


@contextmanager
def json_logs(capsys: pytest.CaptureFixture[str]) -> Iterator[list[dict[str, Any]]]:
    """Log as JSON inside this context. After it, the list contains the log."""
    structured.configure("INFO", human=False)
    lines: list[dict[str, Any]] = []
    yield lines
    lines += [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    logging.getLogger().setLevel("WARNING")


def test_an_unexpected_error_is_logged_and_not_shown(
    app: Flask, client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    @app.get("/api/broken")
    def broken() -> str:
        raise RuntimeError("a secret detail")

    with json_logs(capsys) as logged:
        response = client.get("/api/broken", headers={"X-Request-Id": "abc-123"})
    assert (response.status_code, response.content_type) == (500, "application/problem+json")
    assert "secret" not in response.text
    assert logged[-1]["request_id"] == "abc-123"
    assert "a secret detail" in logged[-1]["exception"]


def test_secrets_are_hidden_in_logs(app: Flask, client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    @app.get("/auth/reset/<token>/broken")
    def broken(token: str) -> str:
        raise RuntimeError(f"redis://app:s3cret@store1 refused {len(token)}")

    gunicorn_log = glogging.Logger(Config())
    with json_logs(capsys) as logged:
        client.get("/auth/reset/s3cret/broken")
        logging.getLogger("py.warnings").warning("token=s3cret is old")
        logging.getLogger("a.library").error("password=%s", "s3cret")
        gunicorn_log.exception("Error handling request %s", "/auth/reset/s3cret?x=1")
    loggers = ["app.web.problems", "py.warnings", "a.library", "gunicorn.error"]
    assert [line["logger"] for line in logged] == loggers
    assert "s3cret" not in str(logged)


@pytest.mark.usefixtures("app")
def test_a_traceback_has_no_values_of_a_statement(capsys: pytest.CaptureFixture[str]) -> None:
    values = {"hash": "s3cret"}
    with json_logs(capsys) as logged:
        try:
            db.read(lambda session: session.execute(text("select :hash from nowhere"), values))
        except OperationalError:
            logging.getLogger("app").exception("failed")
    assert "from nowhere" in logged[0]["exception"]
    assert "s3cret" not in str(logged)


def test_the_reason_of_a_retry_is_logged(
    author: Author, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = OperationalError("UPDATE article SET content = 's3cret'", {}, Exception("no connection"))
    monkeypatch.setattr(articles, "process", Mock(side_effect=[error, True]))
    with json_logs(capsys) as logged:
        author.post({"X-Request-Id": "abc-123"})
    (retried,) = [line for line in logged if line["event"] == "task tries again"]
    assert (retried["task"], retried["request_id"]) == ("process_new_article", "abc-123")
    assert retried["error"] == "OperationalError: no connection"


def test_production_trusts_the_proxy_for_client_address_and_scheme() -> None:
    redis = "redis://127.0.0.1:1/0"
    app = create_app(Production(SECRET_KEY="k" * 32, DATABASE_URL="sqlite://", CACHE_URL=redis, STORE_URL=redis))

    @app.get("/livez/whoami")
    def whoami() -> dict[str, Any]:
        return {"address": request.remote_addr, "secure": request.is_secure, "host": request.host}

    headers = {
        "X-Forwarded-For": "6.6.6.6, 192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "news.example",
    }
    seen = body(app.test_client().get("/livez/whoami", headers=headers))
    assert seen == {"address": "192.0.2.7", "secure": True, "host": "news.example"}


def test_cookies_are_secure_in_production(app: Flask, user: User) -> None:
    app.config["SESSION_COOKIE_SECURE"] = True
    client = app.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    (cookie,) = client.get("/auth/login").headers.getlist("Set-Cookie")
    assert cookie.startswith("session=")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert log_in(client, user.email).status_code in {302, 400}


def test_with_a_dead_broker_writes_succeed_and_their_task_runs_later(
    author: Author, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("celery.app.task.Task.apply_async", Mock(side_effect=BrokerError("refused")))
        assert send("flush_views") is False
        path = author.post(content="The bridge is closed. Engineers inspect the bridge.").headers["Location"]
    assert body(client.get(path))["keywords"] == []
    assert db.read(lambda session: articles.unprocessed(session, before=now())) != []
    monkeypatch.setattr(retry, "LOST_AFTER", now() - now())
    tasks.process_forgotten_articles()
    assert "bridge" in body(client.get(path))["keywords"]
    assert db.read(lambda session: articles.unprocessed(session, before=now())) == []


def test_after_a_failure_the_broker_is_not_used_for_some_seconds(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = Mock(side_effect=BrokerError("refused"))
    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)
    assert [send("flush_views") for _ in range(3)] == [False] * 3
    assert refuse.call_count == 1
    app.extensions["broker_retry_at"] = 0.0
    send("flush_views")
    assert refuse.call_count == 2


def test_a_task_has_the_id_of_its_request() -> None:
    headers: dict[str, object] = {}
    with structlog.contextvars.bound_contextvars(request_id="0123456789abcdef"):
        signals.before_task_publish.send(sender=tasks.flush_views.name, headers=headers)
    assert headers["request_id"] == "0123456789abcdef"


def test_celery_does_not_lose_tasks(app: Flask) -> None:
    celery: Celery = app.extensions["celery"]
    assert celery.conf.task_acks_late
    assert celery.conf.worker_prefetch_multiplier == 1
    schedule = celery.conf.beat_schedule
    assert schedule["flush-views"]["schedule"].total_seconds() == app.config["VIEWS_FLUSH_SECONDS"]
    scheduled = {entry["task"] for entry in schedule.values()}
    assert {"process_forgotten_articles", "send_forgotten_emails", "forget_emails"} <= scheduled
    assert {"process_new_article"} | scheduled <= set(celery.tasks)


@pytest.mark.parametrize("count", [1, 600])
def test_demo_data_is_reproducible(run: Callable[..., Result], count: int) -> None:
    assert f"created {count} articles" in run("demo", "load", "--articles", str(count), "--if-empty").output
    assert "nothing to do" in run("demo", "load", "--if-empty").output
    assert db.read(articles.count) == count
    oldest = stored(Article, 1)
    assert oldest.summary
    assert oldest.keywords
