import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
import structlog
from celery import Celery, signals
from click.testing import Result
from flask import Flask
from flask.testing import FlaskClient
from kombu.exceptions import OperationalError as BrokerError
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


def down(*_: object) -> None:
    raise StoreUnavailableError("down")


def test_ready_when_database_and_broker_answer(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert {name: check["ok"] for name, check in body(response)["checks"].items()} == {
        "database": True,
        "broker": True,
        "cache": True,
    }


def test_a_dead_cache_keeps_the_application_ready(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.redis.cache_backends.MemoryBackend.ping", down)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert body(response)["checks"]["cache"]["ok"] is False


def test_a_dead_broker_makes_the_application_unready_but_alive(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.redis.store.MemoryStore.ping", down)
    response = client.get("/readyz")
    assert (response.status_code, body(response)["status"]) == (503, "not ready")
    assert client.get("/livez").status_code == 200


def test_a_dead_database_makes_the_application_unready(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.database.engine.Database.read", down)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "down" not in response.text, "the message of an error may name hosts and users"


def test_metrics_have_the_route_and_not_the_path(client: FlaskClient) -> None:
    rule = 'app_requests_total{method="GET",rule="/api/v1/articles/<id:article_id>",status="404"}'
    before = metric(client, rule)
    for number in range(5):
        client.get(f"/api/v1/articles/{900 + number}")
        client.get(f"/no/such/path/{number}")
    assert metric(client, rule) == before + 5
    assert "/no/such/path" not in client.get("/metrics").text


def test_metrics_count_cache_outcomes_and_queries(client: FlaskClient) -> None:
    hits = metric(client, 'app_cache_requests_total{cache="lists",outcome="hit"}')
    queries = metric(client, 'app_request_queries_sum{rule="/api/v1/articles"}')
    for _ in range(3):
        client.get("/api/v1/articles")
    assert metric(client, 'app_cache_requests_total{cache="lists",outcome="hit"}') == hits + 2
    assert metric(client, 'app_request_queries_sum{rule="/api/v1/articles"}') == queries + 1


def test_responses_have_request_id_host_and_release(client: FlaskClient) -> None:
    headers = client.get("/livez", headers={"X-Request-Id": "abc-123"}).headers
    assert (headers["X-Request-Id"], headers["X-Served-By"], headers["X-Release"]) == (
        "abc-123",
        structured.HOSTNAME,
        "development",
    )


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'inject"}'])
def test_an_invalid_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    assert client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"] not in {given, ""}


def test_an_unexpected_error_is_logged_and_not_shown(
    app: Flask, client: FlaskClient, capsys: pytest.CaptureFixture[str]
) -> None:
    structured.configure("INFO", human=False)

    @app.get("/api/broken")
    def broken() -> str:
        raise RuntimeError("a secret detail")

    response = client.get("/api/broken", headers={"X-Request-Id": "abc-123"})
    assert (response.status_code, response.content_type) == (500, "application/problem+json")
    assert "secret" not in response.text
    line = json.loads(capsys.readouterr().err.splitlines()[-1])
    assert line["request_id"] == "abc-123"
    assert "a secret detail" in line["exception"]
    logging.getLogger().setLevel("WARNING")


def test_secrets_are_hidden_in_logs(app: Flask, client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
    structured.configure("INFO", human=False)

    @app.get("/auth/reset/<token>/broken")
    def broken(token: str) -> str:
        raise RuntimeError(f"redis://app:s3cret@store1 refused {len(token)}")

    client.get("/auth/reset/s3cret/broken")
    logging.getLogger("py.warnings").warning("token=s3cret is old")
    logging.getLogger("a.library").error("password=%s", "s3cret")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["logger"] for line in lines] == ["app.web.problems", "py.warnings", "a.library"]
    assert "s3cret" not in "".join(lines)
    logging.getLogger().setLevel("WARNING")


def test_the_reason_of_a_retry_is_logged(
    author: Author, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    structured.configure("INFO", human=False)
    process, attempts = articles.process, iter([True, False])

    def fails_once(session: Any, article_id: int) -> bool:
        if next(attempts):
            raise OperationalError("UPDATE article SET content = 's3cret'", {}, Exception("no connection"))
        return process(session, article_id)

    monkeypatch.setattr(articles, "process", fails_once)
    headers = {**author.headers, "X-Request-Id": "abc-123"}
    author.client.post("/api/v1/articles", json={"title": "A", "content": "B."}, headers=headers)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    (retried,) = [line for line in lines if line["event"] == "task tries again"]
    assert (retried["task"], retried["error"], retried["request_id"]) == (
        "process_new_article",
        "OperationalError: no connection",
        "abc-123",
    )
    logging.getLogger().setLevel("WARNING")


def test_production_trusts_the_proxy_for_client_address_and_scheme() -> None:
    app = create_app(
        Production(
            SECRET_KEY="k" * 32,
            DATABASE_URL="sqlite://",
            CACHE_URL="redis://127.0.0.1:1/0",
            STORE_URL="redis://127.0.0.1:1/0",
        )
    )

    @app.get("/livez/whoami")
    def whoami() -> dict[str, Any]:
        from flask import request

        return {"address": request.remote_addr, "secure": request.is_secure, "host": request.host}

    headers = {
        "X-Forwarded-For": "6.6.6.6, 192.0.2.7",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "news.example",
    }
    assert body(app.test_client().get("/livez/whoami", headers=headers)) == {
        "address": "192.0.2.7",
        "secure": True,
        "host": "news.example",
    }


def test_cookies_are_secure_in_production(app: Flask, user: User) -> None:
    app.config["SESSION_COOKIE_SECURE"] = True
    client = app.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    cookie = next(
        value for value in client.get("/auth/login").headers.getlist("Set-Cookie") if value.startswith("session=")
    )
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert log_in(client, user.email).status_code in {302, 400}


def test_with_a_dead_broker_writes_succeed_and_their_task_runs_later(
    author: Author, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BrokerError("refused")

    with monkeypatch.context() as broken:
        broken.setattr("celery.app.task.Task.apply_async", refuse)
        assert send("flush_views") is False
        path = author.post(
            title="Bridge closed", content="The bridge is closed. Engineers inspect the bridge."
        ).headers["Location"]
    assert body(client.get(path))["keywords"] == []
    assert db.read(lambda session: articles.unprocessed(session, before=now())) != []
    monkeypatch.setattr(retry, "LOST_AFTER", now() - now())
    tasks.process_forgotten_articles()
    assert "bridge" in body(client.get(path))["keywords"]
    assert db.read(lambda session: articles.unprocessed(session, before=now())) == []


def test_after_a_failure_the_broker_is_not_used_for_some_seconds(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts: list[object] = []

    def refuse(*_: object, **__: object) -> None:
        attempts.append(1)
        raise BrokerError("refused")

    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)
    assert [send("flush_views") for _ in range(3)] == [False] * 3
    assert len(attempts) == 1
    app.extensions["broker_retry_at"] = 0.0
    send("flush_views")
    assert len(attempts) == 2


def test_a_task_has_the_id_of_its_request() -> None:
    headers: dict[str, object] = {}
    with structlog.contextvars.bound_contextvars(request_id="0123456789abcdef"):
        signals.before_task_publish.send(sender=tasks.flush_views.name, headers=headers)
    assert headers["request_id"] == "0123456789abcdef"


def test_processing_twice_changes_nothing(author: Author, client: FlaskClient) -> None:
    path = author.post(content="The bridge is closed. Engineers inspect the bridge.").headers["Location"]
    once = body(client.get(path))
    tasks.process_new_article(once["id"])
    tasks.process_new_article(999)
    assert body(client.get(path)) == once


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
