"""Users and their actions on the site's pages."""

import re
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Self
from uuid import uuid4

from playwright.sync_api import Page, expect

from tests.support.live.fleet import LiveFleet


@dataclass
class Person:
    """A user with an account, or before signing up."""

    name: str
    email: str
    password: str

    @classmethod
    def new(cls) -> Self:
        """Return a user whom the site does not know."""
        name = uuid4().hex[:8]
        return cls(f"Reader {name}", f"reader-{name}@news.test", uuid4().hex)


def register(fleet: LiveFleet, person: Person) -> None:
    """Create an account without a confirmation e-mail."""
    command = f"flask users create {person.email} --name '{person.name}' --password-env PERSONS_PASSWORD"
    fleet.app_command(command, {"PERSONS_PASSWORD": person.password})


def log_in(page: Page, person: Person, path: str = "/auth/login") -> None:
    """Open a page that requires a login, and log in."""
    page.goto(path)
    send_log_in(page, person)
    expect(page.get_by_role("navigation", name="Site").get_by_text("Desk")).to_be_visible()


def send_log_in(page: Page, person: Person) -> None:
    """Submit the login form of the current page."""
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_label("Password").fill(person.password)
    page.get_by_role("button", name="Log in").click()


def link_in(email: EmailMessage) -> str:
    """Return the link in an e-mail."""
    found = re.search(r"https://\S+", email.get_content())
    assert found, email.get_content()
    return found[0]
