import sys
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app import config, create_app
from app.web.security_headers import CONTENT_SECURITY_POLICY

SERVERS = {
    "CACHE_URL": "redis://127.0.0.1:1/0",
    "STORE_URL": "redis://127.0.0.1:1/0",
    "SECRET_KEY": "x" * 32,
    "LOG_LEVEL": "ERROR",
}


@pytest.fixture(autouse=True)
def _debug(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "1")


def client_of(environment: str, database: Path) -> FlaskClient:
    """A client of the application in an environment."""
    servers = SERVERS if environment == "production" else {}
    settings = config.load({"APP_ENV": environment, "DATABASE_URL": f"sqlite:///{database}"} | servers)
    return create_app(settings).test_client()


def test_development_has_the_toolbar_and_a_policy_for_it(migrated: Path) -> None:
    client = client_of("development", migrated)
    page = client.get("/popular")
    assert 'id="flDebug"' in page.text
    assert "queries: 1, " in page.text
    assert "script-src 'self' 'unsafe-inline';" in page.headers["Content-Security-Policy"]
    assert client.get("/_debug_toolbar/static/js/toolbar.js").status_code == 200
    assert client.get("/feed.atom").headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert client.get("/account").status_code == 302


@pytest.mark.parametrize("environment", ["testing", "production"])
def test_other_environments_have_no_toolbar(migrated: Path, environment: str) -> None:
    client = client_of(environment, migrated)
    page = client.get("/nothing")
    assert page.status_code == 404
    assert "flDebug" not in page.text
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert client.get("/_debug_toolbar/static/js/toolbar.js").status_code == 404


def test_without_debug_mode_there_is_no_toolbar(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_DEBUG", "0")
    assert "flDebug" not in client_of("development", migrated).get("/").text


def test_the_toolbar_need_not_be_installed(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flask_debugtoolbar", None)
    monkeypatch.setattr("app.web.debugging.find_spec", lambda _: None)
    page = client_of("development", migrated).get("/")
    assert page.status_code == 200
    assert page.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
