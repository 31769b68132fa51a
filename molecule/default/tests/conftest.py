"""Fixtures of this scenario: the shared ones, and a browser."""

from tests.support.browser.fixtures import admin, browser, mailbox, new_context, page, person
from tests.support.live.commands import command, settings
from tests.support.live.fixtures import api_key, author, fleet, healthy_fleet, site

__all__ = [
    "admin",
    "api_key",
    "author",
    "browser",
    "command",
    "fleet",
    "healthy_fleet",
    "mailbox",
    "new_context",
    "page",
    "person",
    "settings",
    "site",
]
