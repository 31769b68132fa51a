"""What must hold for every URL of the application."""

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from app.accounts import tokens
from app.database.models import User
from app.web.sessions import WITHOUT_SESSION
from tests.unit.app.conftest import Publish, change, cookies, logged_in, stored


@pytest.fixture
def administrator(app: Flask, user: User, publish: Publish) -> FlaskClient:
    """A client that is logged in as an administrator, the author of article 1."""
    change(user, is_admin=True)
    publish(keywords=["harbour"])
    return logged_in(app, user.email)


def path_of(rule: Rule, user: User) -> str:
    """The path of a page that exists."""
    values = {"article_id": 1, "author_id": user.id, "word": "harbour", "filename": "site.css"}
    if "token" in rule.arguments:
        values["token"] = tokens.make(rule.rule.split("/")[2], user)
    return str(rule.build(values, append_unknown=False)[1])  # type: ignore[index]


@pytest.mark.usefixtures("sent_emails")
def test_a_page_with_a_form_a_session_or_a_cookie_is_private(
    app: Flask, user: User, administrator: FlaskClient
) -> None:
    change(user, confirmed_at=None)
    linked, public = stored(User, user.id), []
    for rule in app.url_map.iter_rules():
        for client in (app.test_client(), administrator):
            if "GET" not in (rule.methods or ()):
                continue
            path = path_of(rule, linked)
            response = client.get(path)
            assert response.status_code in {200, 302, 401}, path
            has_session = client is administrator and not path.startswith(WITHOUT_SESSION)
            if has_session or "csrf_token" in response.text or cookies(response):
                public += [path] if response.headers["Cache-Control"] != "private, no-store" else []
    assert public == []
