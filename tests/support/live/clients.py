"""Clients of a running fleet: visitors, authors, and users who log in."""

import re
from typing import Any
from uuid import uuid4

import httpx

from tests.support.live.fleet import LiveFleet

ARTICLES = "/api/v1/articles"
ADMIN = "admin@news.test"


def visitor(fleet: LiveFleet, **headers: str) -> httpx.Client:
    """Return a new client without cookies.

    It does not verify the sandbox's self-signed certificate. test_the_certificate_is_the_one_of_the_vault checks that.
    """
    return httpx.Client(base_url=f"https://{fleet.vip}", verify=False, trust_env=False, timeout=15, headers=headers)


def publish(author: httpx.Client) -> dict[str, Any]:
    """Publish an article and return the API's answer."""
    content = "The standby replays the log of the primary. Readers never notice which of the two answered. " * 4
    answer = author.post(ARTICLES, json={"title": f"article-{uuid4()}", "content": content})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def send_log_in(client: httpx.Client, email: str, password: str) -> httpx.Response:
    """Submit the login form. Return the answer, or the error page if there is no form."""
    form = client.get("/auth/login")
    if form.status_code != 200:
        return form
    match = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert match
    fields = {"csrf_token": match[1], "email": email, "password": password}
    return client.post("/auth/login", data=fields, headers={"Referer": f"{client.base_url}/auth/login"})


def log_in_as_admin(fleet: LiveFleet, client: httpx.Client) -> str:
    """Log in with the site's form and return the session's cookie."""
    answer = send_log_in(client, ADMIN, fleet.secrets["app_admin_password"])
    assert answer.status_code in {302, 303}, answer.text
    return f"session={client.cookies['session']}"


def article_ids(client: httpx.Client) -> list[int]:
    """Return the ids of the newest articles, for a load that reads them."""
    return [article["id"] for article in client.get(ARTICLES, params={"limit": 50}).json()["articles"]]
