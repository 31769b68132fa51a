"""A browser, its pages and a mailbox; a scenario's conftest.py imports them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.support.browser.people import Person, register
from tests.support.live.fleet import LiveFleet
from tools.fleet.context import ROOT
from tools.fleet.mail_sink import MailSink, gateway

SCREENSHOTS = ROOT / ".cache" / "screenshots"
# Debian's, or Google's where the distribution has none that other programs can drive (Ubuntu's is a snap).
PROGRAMS = ("chromium", "google-chrome-stable", "google-chrome")
QUIET = """--no-sandbox --disable-gpu --disable-quic --no-proxy-server --no-first-run --disable-background-networking
--disable-component-update --disable-sync"""

NewContext = Callable[[], BrowserContext]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser without a window."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip("there is no Chromium: `bin/setup --tests` installs it where the distribution has it as a package")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=QUIET.split())
        yield running
        running.close()


def profile(browser: Browser, fleet: LiveFleet) -> BrowserContext:
    """A browser's profile of its own: nobody's cookies."""
    context = browser.new_context(
        base_url=f"https://{fleet.vip}",
        # The sandbox's certificate is its own; test_the_certificate_… looks at it.
        ignore_https_errors=True,
        viewport={"width": 1280, "height": 900},
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    return context


@pytest.fixture
def new_context(request: pytest.FixtureRequest, browser: Browser, fleet: LiveFleet) -> Iterator[NewContext]:
    """Make a profile. None of its pages may break the site's Content-Security-Policy; of a failed test they are photographed."""
    contexts: list[BrowserContext] = []
    broken: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            broken.append(message.text)

    def make() -> BrowserContext:
        contexts.append(profile(browser, fleet))
        contexts[-1].on("console", note)
        return contexts[-1]

    failed = request.session.testsfailed
    yield make
    if request.session.testsfailed > failed:
        for number, page in enumerate(page for context in contexts for page in context.pages):
            page.screenshot(path=SCREENSHOTS / "failed" / f"{request.node.name}-{number}.png", full_page=True)
    for context in contexts:
        context.close()
    assert broken == []


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page of a browser that nobody has used yet."""
    return new_context().new_page()


@pytest.fixture(scope="module")
def mailbox(fleet: LiveFleet) -> Iterator[MailSink]:
    """Where the fleet's letters arrive."""
    with MailSink(gateway(fleet.fleet)) as sink:
        yield sink


@pytest.fixture
def person(fleet: LiveFleet) -> Person:
    """Somebody new who has an account."""
    somebody = Person.new()
    register(fleet, somebody)
    return somebody


@pytest.fixture
def admin(fleet: LiveFleet) -> Person:
    """The administrator that site.yml has made."""
    return Person("Administrator", "admin@news.test", fleet.secrets["app_admin_password"])


def unique(words: str) -> str:
    """A title that no other article has."""
    return f"{words} {uuid4().hex[:10]}"
