"""The site's main paths in a browser, through the load balancers' virtual address."""

import re

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.browser.fixtures import NewContext, unique
from tests.support.browser.people import Person, link_in, log_in, send_log_in
from tests.support.live.clients import visitor
from tests.support.live.fleet import LiveFleet, eventually
from tools.fleet.mail_sink import MailSink

CONTENT = (
    "The ferry stayed in the harbour this morning.\n\n"
    "Its captain waits for the wind to turn, and the passengers wait with her. " * 4
)


def write(page: Page, title: str, content: str = CONTENT) -> None:
    """Write and publish an article on the desk."""
    page.goto("/desk")
    page.get_by_role("navigation", name="Desk").get_by_role("link", name="Write").click()
    page.get_by_label("Title").fill(title)
    page.get_by_label("Text").fill(content)
    page.get_by_role("button", name="Publish").click()


def has_link(page: Page, path: str, text: str) -> bool:
    """Open a page, and return whether it has a link with this text."""
    page.goto(path)
    return page.get_by_role("main").get_by_role("link", name=text, exact=True).count() > 0


def test_a_new_user_confirms_the_address_and_publishes_an_article(
    page: Page, new_context: NewContext, mailbox: MailSink
) -> None:
    newcomer = Person.new()
    page.goto("/")
    page.get_by_role("link", name="Log in").click()
    page.get_by_role("link", name="Sign up").click()
    page.get_by_label("Name").fill(newcomer.name)
    page.get_by_label("E-mail").fill(newcomer.email)
    page.get_by_label("Password").fill(newcomer.password)
    page.get_by_role("button", name="Sign up").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nearly done")
    page.goto(link_in(mailbox.wait_for(newcomer.email, subject="Confirm")))
    page.get_by_label("Password").fill(newcomer.password)
    page.get_by_role("button", name="Confirm and log in").click()
    expect(page.get_by_role("status")).to_contain_text("Welcome")

    title, reader = unique("The ferry waits"), new_context().new_page()
    write(page, title)
    # The author sees it at once, even if replicas lag. Others see it when the cached page has expired.
    assert has_link(page, "/", title)
    assert eventually(lambda: has_link(reader, "/", title), within=10, every=0.5)
    reader.get_by_role("link", name=title, exact=True).click()
    expect(reader.get_by_role("heading", level=1)).to_have_text(title)
    expect(reader.get_by_role("link", name=newcomer.name)).to_be_visible()

    changed = unique("The ferry has left")
    page.goto(reader.url)
    page.get_by_role("main").get_by_role("link", name="Edit").click()
    page.get_by_label("Title").fill(changed)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(changed)
    assert eventually(lambda: has_link(reader, "/", changed) and not has_link(reader, "/", title), within=10, every=0.5)

    reader.get_by_role("searchbox", name="Search articles").fill(changed.split()[-1])
    reader.keyboard.press("Enter")
    expect(reader.get_by_role("main").get_by_role("link", name=changed, exact=True)).to_be_visible()


def test_a_key_from_the_desk_works_until_it_is_revoked(page: Page, fleet: LiveFleet, person: Person) -> None:
    log_in(page, person, "/desk/keys")
    page.get_by_label("Name").fill("A program")
    page.get_by_label("articles:write").check()
    page.get_by_role("button", name="Create").click()
    key = page.locator(".secret code").inner_text()
    title = unique("Written by a program")

    def publish() -> httpx.Response:
        with visitor(fleet, Authorization=f"Bearer {key}") as program:
            return program.post("/api/v1/articles", json={"title": title, "content": CONTENT})

    assert publish().status_code == 201
    page.goto("/desk/keys")
    assert key not in page.content()
    page.get_by_role("button", name="Revoke A program").click()
    expect(page.get_by_text("You have no keys.")).to_be_visible()
    assert publish().status_code == 401


def test_a_forgotten_password_is_reset_by_email(
    page: Page, new_context: NewContext, mailbox: MailSink, person: Person
) -> None:
    other = new_context().new_page()
    log_in(other, person)
    page.goto("/auth/login")
    page.get_by_role("link", name="Forgot your password?").click()
    page.get_by_label("E-mail").fill(person.email)
    page.get_by_role("button", name="Send the e-mail").click()
    link = link_in(mailbox.wait_for(person.email, subject="Choose a new password"))
    forgotten, person.password = person.password, "a sentence that is remembered"
    page.goto(link)
    page.get_by_role("textbox", name="New password").fill(person.password)
    page.get_by_role("button", name="Change the password").click()
    expect(page.get_by_role("status")).to_contain_text("Your password is changed")
    send_log_in(page, Person(person.name, person.email, forgotten))
    expect(page.get_by_text("E-mail or password is wrong.")).to_be_visible()
    send_log_in(page, person)
    expect(page.get_by_role("heading", level=1)).to_have_text(person.name)
    assert mailbox.wait_for(person.email, subject="has changed")

    # Other sessions have ended, and the link works only once.
    other.goto("/account")
    expect(other.get_by_role("heading", level=1)).to_have_text("Log in")
    answer = other.goto(link)
    assert answer
    assert answer.status == 410


def test_logging_out_everywhere_ends_the_other_sessions(page: Page, new_context: NewContext, person: Person) -> None:
    other = new_context().new_page()
    for each in (page, other):
        log_in(each, person)
    page.goto("/account")
    page.get_by_role("button", name="Log out everywhere else").click()
    expect(page.get_by_role("status")).to_contain_text("logged out everywhere")
    other.goto("/account")
    expect(other.get_by_role("heading", level=1)).to_have_text("Log in")
    page.goto("/account")
    page.get_by_role("button", name="Log out", exact=True).click()
    page.goto("/account")
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


def test_an_administrator_retries_a_dead_task(
    page: Page, new_context: NewContext, fleet: LiveFleet, person: Person, admin: Person
) -> None:
    author, title = new_context().new_page(), unique("Too much for a worker")
    log_in(author, person)
    # A permanent failure for the worker: the database refuses the summary of this article.
    fleet.sql(
        fleet.primary,
        f"alter table article add constraint refused check (title <> '{title}' or summary = '') not valid",
    )
    try:
        write(author, title)
        (number,) = re.findall(r"\d+$", author.url)
        log_in(page, admin, "/admin/tasks")
        row = (
            page.get_by_role("row")
            .filter(has_text=f"process_new_article({number})")
            .filter(has=page.get_by_role("button", name="Send again"))
        )

        def is_dead() -> bool:
            page.reload()
            return row.count() > 0

        assert eventually(is_dead, within=30, every=1)
        assert "IntegrityError" in row.first.inner_text()
    finally:
        fleet.sql(fleet.primary, "alter table article drop constraint refused")
    row.first.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status")).to_contain_text("The task is sent again")

    def has_summary() -> bool:
        author.reload()
        return author.locator(".lead").count() > 0

    assert eventually(has_summary, within=15, every=1)


def test_an_administrator_deactivates_a_user(
    page: Page, new_context: NewContext, person: Person, admin: Person
) -> None:
    member = new_context().new_page()
    log_in(member, person)
    log_in(page, admin, "/admin/users")
    page.get_by_role("searchbox", name="Part of an e-mail address").fill(person.email)
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name=f"Deactivate {person.email}").click()
    expect(page.get_by_role("status")).to_contain_text("cannot log in any more")
    member.goto("/account")
    expect(member.get_by_role("heading", level=1)).to_have_text("Log in")
    send_log_in(member, person)
    expect(member.get_by_text("E-mail or password is wrong.")).to_be_visible()


@pytest.mark.parametrize("path", ["/admin/", "/admin/users", "/admin/tasks"])
def test_a_user_has_no_access_to_administrators_pages(page: Page, person: Person, path: str) -> None:
    log_in(page, person)
    answer = page.goto(path)
    assert answer
    assert answer.status == 403
