"""Every page in light and dark, on a desk and a phone: axe-core finds no grave fault, nothing is cut off. Some are photographed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.support.browser import axe
from tests.support.browser.fixtures import SCREENSHOTS, profile
from tests.support.browser.people import Person, log_in, register
from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet

WIDTHS = {"desk": 1280, "phone": 390}
PHOTOGRAPHED = {"home", "article", "desk", "admin"}
ARTICLES = {
    "The night train runs again, and it is full": (
        "The first night train left on Friday with every berth taken. Conductors say that they have not seen the like in twenty years.\n\n"
        "The railway had ended the service when its carriages were too old to repair. Two towns on the way bought six of them, and a "
        "workshop that had mended trams made them fit again.\n\n"
        "In spring a second night train follows. It will carry bicycles, and a carriage in which one may read until morning."
    ),
    "Who repairs the lock when the water is high": (
        "When the river rises, three people take turns at the lock, day and night. None of them is paid for it.\n\n"
        "The gates are from 1911 and leak at the hinges. Divers can work on them only while the water is low, which it was for nine days "
        "last year. The harbour office wants new gates; the three say that the lock needs a keeper first."
    ),
    "A reading room opens where the bank closed": (
        "Where the counter was there is now a table for sixteen. The vault keeps the newspapers of a hundred years, and its door stays "
        "open.\n\n"
        "Neighbours painted the hall in three weekends. The room opens at seven, before the library does, so that those who come from "
        "the night shift can read the morning's papers."
    ),
}


@dataclass(frozen=True)
class Visit:
    """A page, and who goes there."""

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
    """Somebody who has published."""
    somebody = Person("Ada Ferris", Person.new().email, "a sentence that is remembered")
    register(fleet, somebody)
    key = fleet.app_command(f"flask keys create {somebody.email} --name tests --scope articles:write")
    with visitor(fleet, Authorization=f"Bearer {key}") as client:
        for title, content in ARTICLES.items():
            assert client.post("/api/v1/articles", json={"title": title, "content": content}).status_code == 201
    return somebody


@pytest.fixture(scope="module")
def article(fleet: LiveFleet) -> dict[str, Any]:
    """An article that a worker has given keywords."""
    with visitor(fleet) as client:
        found: list[dict[str, Any]] = client.get("/api/v1/articles", params={"q": "river"}).json()["articles"]
    return next(article for article in found if article["keywords"])


@pytest.fixture(scope="module")
def seats(browser: Browser, fleet: LiveFleet, author: Person) -> Iterator[dict[str, Page]]:
    """A page of a reader's browser, of an author's, and of an administrator's."""
    people = {
        "reader": None,
        "author": author,
        "admin": Person("Administrator", "admin@news.test", fleet.secrets["app_admin_password"]),
    }
    script = axe.install()
    contexts: list[BrowserContext] = []
    pages: dict[str, Page] = {}
    for who, somebody in people.items():
        contexts.append(profile(browser, fleet))
        contexts[-1].add_init_script(path=script)
        pages[who] = contexts[-1].new_page()
        if somebody:
            log_in(pages[who], somebody)
    yield pages
    for context in contexts:
        context.close()


@pytest.mark.parametrize("name", VISITS)
def test_a_page_has_no_grave_fault(seats: dict[str, Page], article: dict[str, Any], name: str) -> None:
    visit = VISITS[name]
    page = seats[visit.who]
    path = visit.path.format(
        article=article["id"], author=article["author"]["id"], keyword=quote(article["keywords"][0])
    )
    answer = page.goto(path)
    assert answer
    assert answer.status == visit.status
    found: dict[str, list[str]] = {}
    for place, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            page.set_viewport_size({"width": width, "height": 900})
            page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            variant = f"{name}-{place}-{scheme}"
            if name in PHOTOGRAPHED:
                page.screenshot(path=SCREENSHOTS / f"{variant}.png")
            found[variant] = axe.faults(page)
            if page.evaluate("() => document.documentElement.scrollWidth > window.innerWidth"):
                found[variant].append("the page is wider than the window")
    assert {variant: faults for variant, faults in found.items() if faults} == {}
