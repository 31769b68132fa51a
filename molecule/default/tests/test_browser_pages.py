"""Every page in light and dark mode, on a desktop and a phone: axe-core finds no severe error, nothing is cut off.

Screenshots of some pages are saved.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page

from tests.support.browser import axe
from tests.support.browser.fixtures import SCREENSHOTS, profile
from tests.support.browser.people import Person, log_in, register
from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet

WIDTHS = {"desktop": 1280, "phone": 390}
SCREENSHOT_PAGES = {"home", "article", "desk", "admin"}
ARTICLES = {
    "The night train runs again, and it is full": (
        "The first night train left on Friday with every berth taken. Conductors have not seen that for years.\n\n"
        "The railway had ended the service when its carriages were too old to repair. Two towns on the line bought six "
        "of them, and a tram workshop repaired them.\n\n"
        "In spring a second night train follows. It will carry bicycles, and a carriage for reading until morning."
    ),
    "Who repairs the lock when the water is high": (
        "When the river rises, three people take turns at the lock, day and night. None of them is paid for it.\n\n"
        "The gates are from 1911 and leak at the hinges. Divers can work on them only while the water is low, which it "
        "was for nine days last year. The harbour office wants new gates. The three want a keeper first."
    ),
    "A reading room opens where the bank closed": (
        "In place of the counter there is now a table for sixteen. The vault keeps the newspapers of a hundred years, "
        "and its door stays open.\n\n"
        "Neighbours painted the hall in three weekends. The room opens at seven, before the library, so that people "
        "can read the morning papers after the night shift."
    ),
}


@dataclass(frozen=True)
class Visit:
    """A page and its visitor."""

    path: str
    who: str = "reader"
    status: int = 200


VISITS = {
    "home": Visit("/"),
    "article": Visit("/articles/{article}"),
    "popular": Visit("/popular"),
    "author": Visit("/authors/{author}"),
    "keyword": Visit("/keywords/{keyword}"),
    "search": Visit("/search?q=river"),
    "search-nothing": Visit("/search?q=qwertzuiop"),
    "search-fault": Visit("/search?q=%00", status=422),
    "not-found": Visit("/no-such-page", status=404),
    "api": Visit("/api/v1/docs"),
    "login": Visit("/auth/login"),
    "signup": Visit("/auth/signup"),
    "forgotten": Visit("/auth/reset"),
    "account": Visit("/account", "author"),
    "name": Visit("/auth/name", "author"),
    "password": Visit("/auth/password", "author"),
    "desk": Visit("/desk/", "author"),
    "write": Visit("/desk/write", "author"),
    "keys": Visit("/desk/keys", "author"),
    "admin": Visit("/admin/", "admin"),
    "users": Visit("/admin/users", "admin"),
    "articles": Visit("/admin/articles", "admin"),
    "tasks": Visit("/admin/tasks", "admin"),
    "cache": Visit("/admin/cache", "admin"),
}


@pytest.fixture(scope="module")
def author(fleet: LiveFleet) -> Person:
    """A user who has published articles."""
    person = Person("Ada Ferris", Person.new().email, "a sentence that is remembered")
    register(fleet, person)
    key = fleet.app_command(f"flask keys create {person.email} --name tests --scope articles:write")
    with visitor(fleet, Authorization=f"Bearer {key}") as client:
        for title, content in ARTICLES.items():
            assert client.post("/api/v1/articles", json={"title": title, "content": content}).status_code == 201
    return person


@pytest.fixture(scope="module")
def article(fleet: LiveFleet) -> dict[str, Any]:
    """An article with keywords, which a worker has added."""
    with visitor(fleet) as client:
        found: list[dict[str, Any]] = client.get("/api/v1/articles", params={"q": "river"}).json()["articles"]
    return next(article for article in found if article["keywords"])


@pytest.fixture(scope="module")
def pages_by_visitor(browser: Browser, fleet: LiveFleet, author: Person, admin: Person) -> Iterator[dict[str, Page]]:
    """A page for a reader, an author and an administrator, each in its own browser profile."""
    script = axe.install()
    with ExitStack() as stack:
        pages: dict[str, Page] = {}
        for who in ("reader", "author", "admin"):
            context = stack.enter_context(profile(browser, fleet))
            context.add_init_script(path=script)
            pages[who] = context.new_page()
        log_in(pages["author"], author)
        log_in(pages["admin"], admin)
        yield pages


@pytest.mark.parametrize("name", VISITS)
def test_a_page_has_no_severe_accessibility_error(
    pages_by_visitor: dict[str, Page], article: dict[str, Any], name: str
) -> None:
    visit = VISITS[name]
    page = pages_by_visitor[visit.who]
    path = visit.path.format(
        article=article["id"], author=article["author"]["id"], keyword=quote(article["keywords"][0])
    )
    answer = page.goto(path)
    assert answer
    assert answer.status == visit.status
    found: dict[str, list[str]] = {}
    for device, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            variant = f"{name}-{device}-{scheme}"
            if name in SCREENSHOT_PAGES:
                page.screenshot(path=SCREENSHOTS / f"{variant}.png")
            found[variant] = axe.errors(page)
            if page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth"):
                found[variant].append("the page is wider than the window")
    assert {variant: errors for variant, errors in found.items() if errors} == {}
