"""People, and what they do on the site's pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Self
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.support.live.fleet import LiveFleet


@dataclass
class Person:
    """Somebody with an account, or about to have one."""

    name: str
    email: str
    password: str

    @classmethod
    def new(cls) -> Self:
        """Somebody whom the site does not know."""
        name = uuid4().hex[:8]
        return cls(f"Reader {name}", f"reader-{name}@news.test", uuid4().hex)


def register(fleet: LiveFleet, person: Person) -> None:
    """Give somebody an account that needs no letter."""
    command = f"flask users create {person.email} --name '{person.name}' --password-env PERSONS_PASSWORD"
    fleet.app_command(command, {"PERSONS_PASSWORD": person.password})


def log_in(page: Page, person: Person, path: str = "/auth/login") -> None:
    """Go to a page, and log in where it asks for it."""
    page.goto(path)
    send_log_in(page, person)
    expect(page.get_by_role("navigation", name="Site").get_by_text("Desk")).to_be_visible()


def send_log_in(page: Page, person: Person) -> None:
    """Fill in the log-in form that the page shows."""
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Log in").click()


def link_in(letter: EmailMessage) -> str:
    """The link that a letter wants to be followed."""
    found = re.search(r"https://\S+", letter.get_content())
    assert found, letter.get_content()
    return found[0]
