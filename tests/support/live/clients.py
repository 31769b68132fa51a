"""Clients of a running fleet: visitors, authors, and users who log in."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import httpx

from tests.support.live.fleet import LiveFleet

ARTICLES = "/api/v1/articles"


def visitor(fleet: LiveFleet, **headers: str) -> httpx.Client:
    """Return a new client without cookies.

    It does not verify the sandbox's self-signed certificate. test_the_certificate_is_the_one_of_the_vault checks that.
    """
    return httpx.Client(base_url=f"https://{fleet.vip}", verify=False, trust_env=False, timeout=15, headers=headers)


def publish(author: httpx.Client, title: str | None = None) -> dict[str, Any]:
    """Publish an article and return the API's answer."""
    content = "The standby replays the log of the primary. Readers never notice which of the two answered. " * 4
    answer = author.post(ARTICLES, json={"title": title or f"article-{uuid4()}", "content": content})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def send_log_in(client: httpx.Client, email: str, password: str) -> httpx.Response:
    """Submit the login form. Return the answer, or the error page if there is no form."""
    form = client.get("/auth/login")
    if form.status_code != 200:
        return form
    match = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', form.text)
    assert match
    headers = {"Referer": f"{client.base_url}/auth/login"}
    return client.post(
        "/auth/login", data={"csrf_token": match[1], "email": email, "password": password}, headers=headers
    )


def log_in(client: httpx.Client, email: str, password: str) -> None:
    """Log in with the site's form."""
    answer = send_log_in(client, email, password)
    assert answer.status_code in {302, 303}, answer.text
