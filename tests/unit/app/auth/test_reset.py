"""Password resets, and links that work once."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.accounts import tokens
from app.accounts.users import AccountError
from app.database.models import User
from tests.unit.app.auth.conftest import OTHER, UNKNOWN, link, queued_emails, sign_up
from tests.unit.app.conftest import PASSWORD, Author, csrf_token, key_of, log_in, queries, send


def test_a_reset_link_works_once(app: Flask, client: FlaskClient, reader: FlaskClient, user: User) -> None:
    assert send(client, "/auth/reset", email=user.email).status_code == 200
    assert queued_emails() == [("reset", user.email)]
    path = link("reset", user.email)
    page = client.get(path)
    assert (page.headers["Referrer-Policy"], page.headers["Cache-Control"]) == ("strict-origin", "private, no-store")
    assert send(client, path, password="short").status_code == 422
    assert send(client, path, password=OTHER).status_code == 302
    assert queued_emails()[-1] == ("password_changed", user.email)

    assert client.get(path).status_code == 410, "the link must not work twice"
    assert reader.get("/account").status_code == 302, "old sessions must end"
    assert log_in(app.test_client(), user.email).status_code == 401
    assert log_in(client, user.email, OTHER).status_code == 302


def test_a_reset_revokes_all_api_keys_and_a_change_by_the_user_keeps_them(
    client: FlaskClient, reader: FlaskClient, author: Author, user: User
) -> None:
    assert send(reader, "/auth/password", present=PASSWORD, password=OTHER).status_code == 302
    assert author.post().status_code == 201
    assert send(client, link("reset", user.email), password=PASSWORD).status_code == 302
    assert author.post().status_code == 401
    with pytest.raises(AccountError, match="log in again"):
        key_of(user)  # As a request of an old session does, at the same moment.


def test_a_reset_request_does_not_show_whether_an_address_has_an_account(
    app: Flask, user: User, hashes: list[str]
) -> None:
    answers = []
    for email in (user.email, UNKNOWN):
        with queries() as seen:
            answer = send(app.test_client(), "/auth/reset", email=email)
        answers.append((answer.status_code, answer.text.replace(email, ""), len(seen)))
    assert answers[0] == answers[1]
    assert hashes == []


@pytest.mark.parametrize("kind", ["confirm", "reset"])
def test_a_secret_url_is_not_sent_as_referer_but_its_form_works_over_https(client: FlaskClient, kind: str) -> None:
    site = "https://news.example"
    sign_up(client)
    path = link(kind, UNKNOWN)
    page = client.get(path, base_url=site)
    # The headers that browsers send with a form, by referrer policy.
    referrers = {"no-referrer": {}, "strict-origin": {"Referer": f"{site}/"}, "same-origin": {"Referer": site + path}}
    headers = referrers[page.headers["Referrer-Policy"]]
    assert path not in headers.get("Referer", "")
    fields = {"password": PASSWORD, "csrf_token": csrf_token(page)}
    refused = client.post(path, base_url=site, headers=headers, data={"password": PASSWORD})
    assert (refused.status_code, refused.headers["Referrer-Policy"]) == (400, "strict-origin")
    assert client.post(path, base_url=site, headers=headers, data=fields).status_code == 302


@pytest.mark.parametrize("kind", ["confirm", "reset"])
def test_a_forged_link_is_refused(client: FlaskClient, user: User, kind: str) -> None:
    token = tokens.make("reset", user)
    for forged in ("x", "..", token[:-2] + "zz", tokens.make("confirm", user) if kind == "reset" else token):
        assert client.get(f"/auth/{kind}/{forged}").status_code == 410
        assert client.post(f"/auth/{kind}/{forged}", data={"password": OTHER}).status_code in {400, 410}
    assert log_in(client, user.email).status_code == 302


@pytest.mark.parametrize("path", ["/auth/signup", "/auth/reset"])
def test_without_a_relay_pages_that_need_email_answer_503(app: Flask, client: FlaskClient, path: str) -> None:
    app.extensions["mail"] = None
    answer = client.get(path)
    assert answer.status_code == 503
    assert "administrators" in answer.text
