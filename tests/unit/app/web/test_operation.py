from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import structlog
from celery import Celery, signals
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
from tests.unit.app.conftest import Author, body, log_in


def metric(client: FlaskClient, name: str) -> float:
    lines = [line for line in client.get("/metrics").text.splitlines() if line.startswith(name + " ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0.0


def away(*_: object) -> None:
    raise StoreUnavailableError("away")


def test_ready_when_database_and_broker_answer(client: FlaskClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert {name: check["ok"] for name, check in body(response)["checks"].items()} == {
        "database": True,
        "broker": True,
        "cache": True,
    }


def test_a_lost_cache_keeps_the_application_ready(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.redis.cache_backends.MemoryBackend.ping", away)
    response = client.get("/readyz")
    assert response.status_code == 200
    assert body(response)["checks"]["cache"]["ok"] is False


def test_a_lost_broker_makes_it_unready_and_leaves_it_alive(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.redis.store.MemoryStore.ping", away)
    response = client.get("/readyz")
    assert (response.status_code, body(response)["status"]) == (503, "not ready")
    assert client.get("/livez").status_code == 200


def test_a_lost_database_makes_it_unready(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.database.engine.Database.read", away)
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "away" not in response.text, "the message of an error may name hosts and users"


def test_metrics_are_by_route_and_never_by_path(client: FlaskClient) -> None:
    rule = 'app_requests_total{method="GET",rule="/api/v1/articles/<id:article_id>",status="404"}'
    before = metric(client, rule)
    for number in range(5):
        client.get(f"/api/v1/articles/{900 + number}")
        client.get(f"/no/such/path/{number}")
    assert metric(client, rule) == before + 5
    assert "/no/such/path" not in client.get("/metrics").text


def test_metrics_count_cache_answers_and_queries(client: FlaskClient) -> None:
    hits = metric(client, 'app_cache_requests_total{cache="lists",outcome="hit"}')
    queries = metric(client, 'app_request_queries_sum{rule="/api/v1/articles"}')
    for _ in range(3):
        client.get("/api/v1/articles")
    assert metric(client, 'app_cache_requests_total{cache="lists",outcome="hit"}') == hits + 2
    assert metric(client, 'app_request_queries_sum{rule="/api/v1/articles"}') == queries + 1


def test_answers_name_request_host_and_release(client: FlaskClient) -> None:
    headers = client.get("/livez", headers={"X-Request-Id": "abc-123"}).headers
    assert (headers["X-Request-Id"], headers["X-Served-By"], headers["X-Release"]) == (
        "abc-123",
        structured.HOSTNAME,
        "development",
    )


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'inject"}'])
def test_a_request_id_that_could_spoil_a_log_is_replaced(client: FlaskClient, given: str) -> None:
    assert client.get("/livez", headers={"X-Request-Id": given}).headers["X-Request-Id"] not in {given, ""}


def test_an_unexpected_error_is_logged_with_its_request_and_not_shown(
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


def test_no_line_of_the_log_holds_a_secret(app: Flask, client: FlaskClient, capsys: pytest.CaptureFixture[str]) -> None:
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


def test_a_task_that_is_tried_again_says_why(
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


def test_in_production_the_proxys_client_address_and_scheme_are_believed() -> None:
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


def test_cookies_are_for_https_alone_in_production(app: Flask, user: User) -> None:
    app.config["SESSION_COOKIE_SECURE"] = True
    client = app.test_client()
    client.environ_base["wsgi.url_scheme"] = "https"
    cookie = next(
        value for value in client.get("/auth/login").headers.getlist("Set-Cookie") if value.startswith("session=")
    )
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert log_in(client, user.email).status_code in {302, 400}


def test_a_dead_broker_does_not_fail_the_write_and_the_task_is_found_again(
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


def test_a_broker_that_has_failed_is_left_alone_for_a_moment(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def refuse(*_: object, **__: object) -> None:
        asked.append(1)
        raise BrokerError("refused")

    monkeypatch.setattr("celery.app.task.Task.apply_async", refuse)
    assert [send("flush_views") for _ in range(3)] == [False] * 3
    assert len(asked) == 1
    app.extensions["broker_retry_at"] = 0.0
    send("flush_views")
    assert len(asked) == 2


def test_a_task_carries_the_requests_id() -> None:
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


def test_celery_is_told_to_lose_nothing(app: Flask) -> None:
    celery: Celery = app.extensions["celery"]
    assert celery.conf.task_acks_late
    assert celery.conf.worker_prefetch_multiplier == 1
    assert celery.conf.beat_schedule["flush-views"]["schedule"].total_seconds() == app.config["VIEWS_FLUSH_SECONDS"]
    assert {"process_new_article", "flush_views", "process_forgotten_articles"} <= set(celery.tasks)


@pytest.mark.parametrize("count", [1, 600])
def test_demo_data_is_the_same_every_time(app: Flask, count: int) -> None:
    run = app.test_cli_runner().invoke
    assert f"created {count} articles" in run(args=["demo", "load", "--articles", str(count), "--if-empty"]).output
    assert "nothing to do" in run(args=["demo", "load", "--if-empty"]).output
    assert db.read(articles.count) == count
    oldest = db.read(lambda session: session.get_one(Article, 1))
    assert oldest.summary
    assert oldest.keywords


def test_the_command_line_makes_users_and_keys(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    run = app.test_cli_runner().invoke
    monkeypatch.setenv("NEW_PASSWORD", "a good password")
    arguments = ["users", "create", "Grace@News.example", "--admin", "--password-env", "NEW_PASSWORD"]
    assert run(args=arguments).output == "created administrator grace@news.example\n"
    assert run(args=arguments).exit_code == 1
    assert "nothing to do" in run(args=[*arguments, "--if-missing"]).output
    key = run(args=["keys", "create", "grace@news.example", "--name", "tests", "--scope", "articles:write"]).output
    headers = {"Authorization": f"Bearer {key.strip()}"}
    assert (
        app.test_client().post("/api/v1/articles", json={"title": "x", "content": "y"}, headers=headers).status_code
        == 201
    )
    assert log_in(app.test_client(), "grace@news.example", "a good password").status_code == 302


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["users", "create", "nonsense", "--password-env", "NEW_PASSWORD"], "is not an e-mail address"),
        (["users", "create", "a@b.example", "--password-env", "UNSET"], "UNSET is not set"),
        (["users", "create", "a@b.example", "--password-env", "SHORT"], "8 to 1024 characters"),
        (["keys", "create", "nobody@b.example", "--name", "x", "--scope", "articles:write"], "there is no user"),
    ],
)
def test_the_command_line_says_what_is_wrong(
    app: Flask, monkeypatch: pytest.MonkeyPatch, arguments: list[str], reason: str
) -> None:
    monkeypatch.setenv("NEW_PASSWORD", "a good password")
    monkeypatch.setenv("SHORT", "short")
    result = app.test_cli_runner().invoke(args=arguments)
    assert result.exit_code == 1
    assert reason in result.output
