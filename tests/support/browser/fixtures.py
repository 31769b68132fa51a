"""Fixtures for a browser, its pages and a mailbox. A scenario's conftest.py imports them."""

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
# Debian's package, or Google's if the distribution has only a snap (Ubuntu), which other programs cannot control.
PROGRAMS = ("chromium", "google-chrome-stable", "google-chrome")
QUIET = """--no-sandbox --disable-gpu --disable-quic --no-proxy-server --no-first-run --disable-background-networking
--disable-component-update --disable-sync"""

NewContext = Callable[[], BrowserContext]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless browser."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(
            "Chromium is not installed; run `bin/setup --tests`, which needs a distribution with a package of it"
        )
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=QUIET.split())
        yield running
        running.close()


def profile(browser: Browser, fleet: LiveFleet) -> BrowserContext:
    """Return a new browser profile without cookies."""
    context = browser.new_context(
        base_url=f"https://{fleet.vip}",
        # The sandbox's certificate is self-signed. test_the_certificate_is_the_one_of_the_vault checks it.
        ignore_https_errors=True,
        viewport={"width": 1280, "height": 900},
        reduced_motion="reduce",
    )
    context.set_default_timeout(15_000)
    return context


@pytest.fixture
def new_context(request: pytest.FixtureRequest, browser: Browser, fleet: LiveFleet) -> Iterator[NewContext]:
    """Create profiles. After a failed test, save screenshots of their pages.

    No page may violate the site's Content-Security-Policy.
    """
    contexts: list[BrowserContext] = []
    violations: list[str] = []

    def record(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            violations.append(message.text)

    def make() -> BrowserContext:
        contexts.append(profile(browser, fleet))
        contexts[-1].on("console", record)
        return contexts[-1]

    failed = request.session.testsfailed
    yield make
    if request.session.testsfailed > failed:
        for number, page in enumerate(page for context in contexts for page in context.pages):
            page.screenshot(path=SCREENSHOTS / "failed" / f"{request.node.name}-{number}.png", full_page=True)
    for context in contexts:
        context.close()
    assert violations == []


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page of a new browser profile."""
    return new_context().new_page()


@pytest.fixture(scope="module")
def mailbox(fleet: LiveFleet) -> Iterator[MailSink]:
    """The mailbox that receives the fleet's e-mails."""
    with MailSink(gateway(fleet.fleet)) as sink:
        yield sink


@pytest.fixture
def person(fleet: LiveFleet) -> Person:
    """A new user with an account."""
    person = Person.new()
    register(fleet, person)
    return person


@pytest.fixture(scope="module")
def admin(fleet: LiveFleet) -> Person:
    """The administrator that site.yml created."""
    return Person("Administrator", "admin@news.test", fleet.secrets["app_admin_password"])


def unique(words: str) -> str:
    """Return a unique title."""
    return f"{words} {uuid4().hex[:10]}"
