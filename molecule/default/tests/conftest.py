"""Fixtures of this scenario: those of every scenario, and a browser's."""

from tests.browser.fixtures import admin, browser, mailbox, new_context, page, person
from tests.live.fixtures import api_key, author, fleet, site, whole

__all__ = [
    "admin",
    "api_key",
    "author",
    "browser",
    "fleet",
    "mailbox",
    "new_context",
    "page",
    "person",
    "site",
    "whole",
]
